"""Let depthwise convolutions of small images write where they read.

Before::

    y = conv1x1(x)
    z = depthwise(y)                # nobody else reads y

After::

    y = conv1x1(x)
    y = depthwise(y)                # rows of z in the planes of y
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from sparsecc.ir.graph import FusedConv
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.tensor_type import HALF
from sparsecc.kernels.window_place import fits
from sparsecc.lower.window import may_work_in_place, place_lanes
from sparsecc.target import Target


def in_place(placed: Placed, target: Target) -> Placed:
    """Mark the nodes, and give their results the planes of their inputs."""
    readers = Counter(tensor for node in placed.nodes for tensor in node.inputs)
    makers = {node.output: node for node in placed.nodes}
    for i, node in enumerate(placed.nodes):
        layout = _layout(node, placed, readers, makers, target)
        if layout is not None:
            layouts, nodes = list(placed.layouts), list(placed.nodes)
            layouts[node.output], nodes[i] = layout, replace(node, in_place=True)
            placed = replace(placed, layouts=tuple(layouts), nodes=tuple(nodes))  # the next one may follow in its place
    return placed


def _layout(
    node: PlacedNode,
    placed: Placed,
    readers: Mapping[int, int],
    makers: Mapping[int, PlacedNode],
    target: Target,
) -> PlaneLayout | None:
    """Layout of the result in the planes of the input; None where it can't be there."""
    operator = node.operator
    spec = operator.planes if operator.fits_in_place else None
    if spec is None or len(node.inputs) > 1 or node.packs or node.output in placed.outputs:
        return None
    tensor = node.inputs[0]
    target = target.for_half() if placed.type_of(tensor).dtype == HALF else target
    if not may_work_in_place(spec, target):
        return None
    maker = makers.get(tensor)
    # a view's floats, and the caller's, may have other readers
    alone = readers[tensor] == 1 and tensor not in placed.outputs
    if not alone or maker is None or not isinstance(maker.operator, FusedConv):
        return None
    source, result = placed.layouts[tensor], placed.layouts[node.output]
    if source is None or result is None or any(result.halo) or source.is_split or source.deal > 1:
        return None
    layout = replace(result, plane=source.plane, lead=source.lead, tail=source.tail)
    lanes = place_lanes(spec, target)
    return layout if lanes is not None and fits(source, layout, lanes=lanes) else None
