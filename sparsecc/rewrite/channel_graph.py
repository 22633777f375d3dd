"""Find out which tensors of a network must store their channels in one order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sparsecc.ir.graph import Graph, Node, TirOp
from sparsecc.rewrite.channel_blocks import Block
from sparsecc.rewrite.channel_operator import OperatorChannels
from sparsecc.rewrite.channels import Axis, Classes, Shape, axis_of, viewed

#: blocks of a generic operator, by the name of its function
Blocks = Callable[[str], Sequence[Block] | None]


@dataclass(frozen=True, eq=False)
class Channels:
    """Channels of a network's tensors.

    Attributes
    ----------
    classes : Classes
    axes : list of Axis or None
        Of every tensor; None where no order but its own is known to be right.
    constants : mapping of int to mapping of int to Axis
        Tensor that a generic operator writes -> its constants with a number for each channel.
    """

    classes: Classes = field(default_factory=Classes)
    axes: list[Axis | None] = field(default_factory=list)
    constants: dict[int, Mapping[int, Axis]] = field(default_factory=dict)


def find_channels(graph: Graph, blocks: Blocks) -> Channels:
    """Tie the channels of a graph.

    Convolutions and linear layers over all channels read any order and write a new class. Depthwise convolutions and
    poolings keep what they read; a residual has the order of the sum. Grouped convolutions, the caller's tensors and
    operators that do anything else with channels fix them.
    """
    found = Channels(axes=[None] * len(graph.shapes))
    for node in graph.nodes:
        found.axes[node.output] = _written(node, graph, found, blocks)
    found.classes.fix(*(found.axes[tensor] for tensor in graph.outputs))
    return found


def _written(node: Node, graph: Graph, found: Channels, blocks: Blocks) -> Axis | None:
    """The axis of what a node writes."""
    operator, axes = node.operator, [found.axes[tensor] for tensor in node.inputs]
    if isinstance(operator, TirOp):  # perhaps of constants alone
        return _operator(operator, axes, node, found, blocks)
    before, after = graph.shapes[node.inputs[0]], graph.shapes[node.output]
    if operator.channels in ("sums", "keeps") and operator.images is not None:
        return _planes(operator.channels, operator.images, axes, before, after, found.classes)
    axis = viewed(axes[0], before, after) if operator.channels == "view" and axes[0] is not None else None
    if axis is None:
        found.classes.fix(*axes)
    return axis


def _planes(
    channels: str, images: tuple[int, int, int], axes: Sequence[Axis | None], before: Shape, after: Shape,
    classes: Classes,
) -> Axis | None:  # fmt: skip
    (n, ic, oc), (source, *residuals) = images, axes
    source = _image(source, before, n, ic, classes)
    axis = axis_of(after, outer=n, size=oc, part=classes.new(oc)) if channels == "sums" else source
    for residual in residuals:
        classes.tie([axis, residual])
        if axis is not None and residual is not None and axis.axis != residual.axis:
            classes.fix(axis, residual)
    return axis


def _image(axis: Axis | None, shape: Shape, n: int, channels: int, classes: Classes) -> Axis | None:
    """The axis if a layer takes what lies along it for channels; else None, and its order is fixed."""
    if axis is not None and axis.size == channels and math.prod(shape[: axis.axis]) == n:
        return axis
    classes.fix(axis)
    return None


def _operator(operator: TirOp, axes: Sequence[Axis | None], node: Node, found: Channels, blocks: Blocks) -> Axis | None:
    tensors = iter(axes)
    parameters = [next(tensors) if constant is None else None for constant in operator.constants]
    constants = [i for i, constant in enumerate(operator.constants) if constant is not None]
    inside = OperatorChannels(found.classes, [*parameters, None], constants)
    result = inside.run(blocks(operator.function))
    found.constants[node.output] = inside.constants
    return result
