"""Graphs as text, a node a line: what the dump shows, and what tests compare."""

from __future__ import annotations

from sparsecc.ir.graph import Graph
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.tensor_type import FLOAT32


def graph_text(graph: Graph) -> str:
    """Inputs, nodes and outputs.

    For example::

    t0 1x3x32x32 = input
    t1 1x16x32x32 = conv 3x3, bias+relu: stem(t0)
    output t1
    """
    lines = [f"t{t} {_tensor(graph, t)} = input" for t in graph.inputs]
    lines += [
        f"t{n.output} {_tensor(graph, n.output)} = {n.operator}: {n.key}({_tensors(n.inputs)})" for n in graph.nodes
    ]
    return "\n".join([*lines, *(f"output t{t}" for t in graph.outputs)]) + "\n"


def placed_text(placed: Placed) -> str:
    """The same with layouts.

    For example::

    t1 1x16x32x32 = conv 3x3, bias+relu: stem(t0), pitch 33, plane 1072, lead 48, tail 34, halo 1 1 1 1
    """
    lines = [f"t{t} {_tensor(placed, t)} = input" for t in placed.inputs]
    lines += [placed_line(node, placed) for node in placed.nodes]
    return "\n".join([*lines, *(f"output t{t}" for t in placed.outputs)]) + "\n"


def placed_line(node: PlacedNode, placed: Placed) -> str:
    """One node: tensors and shape, kind, key, and where its result lies."""
    how = ", planes are packed" * node.packs
    if node.in_place:  # others may read no tensor at all
        how += f", in the place of t{node.inputs[0]}"
    result = f"t{node.output} {_tensor(placed, node.output)}"
    what = f"{node.operator}: {node.key}({_tensors(node.inputs)})"
    return f"{result} = {what}{how}, {layout_text(placed.layouts[node.output])}"


def layout_text(layout: PlaneLayout | None) -> str:
    """Where pixels lie."""
    if layout is None or layout.is_plain:
        return "contiguous"
    text = f"pitch {layout.pitch}, plane {layout.plane}, lead {layout.lead}, tail {layout.tail}"
    if any(layout.halo):
        text += f", halo {' '.join(map(str, layout.halo))}"
    if layout.is_split:
        text += f", phases {' '.join(f'{row}{col}' for row, col in layout.phases)} of {layout.step[0]}x{layout.step[1]}"
    return text + f", dealt out to {layout.deal}" * (layout.deal > 1)


def _tensor(graph: Graph | Placed, tensor: int) -> str:
    """Shape, and the type where it is not float32."""
    kind = graph.type_of(tensor)
    shape = "x".join(map(str, graph.shapes[tensor])) or "scalar"
    return shape if kind == FLOAT32 else f"{shape} {kind.dtype}" + f" around {kind.fill}" * (kind.fill > 0)


def _tensors(tensors: tuple[int, ...]) -> str:
    return ", ".join(f"t{t}" for t in tensors)
