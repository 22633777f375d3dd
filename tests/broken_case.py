"""Ways to break what a stage made, and what the checker says of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsecc._tvm import IRModule, relax
from sparsecc.ir.channel_order import ChannelOrder
from sparsecc.ir.graph import Graph
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.placed import Placed

Break = Callable[[Any], Any]


def node(name: str, /, **changes: Any) -> Break:
    """Change a node; ``lambda node: ...`` as a value gets the node."""

    def broken(graph: Graph | Placed) -> Graph | Placed:
        def changed(n: Any) -> Any:
            return replace(n, **{name: v(n) if callable(v) else v for name, v in changes.items()})

        assert name in [n.key for n in graph.nodes]
        return replace(graph, nodes=tuple(changed(n) if n.key == name else n for n in graph.nodes))

    return broken


def layout(key: str, *, of_input: bool = False, **changes: Any) -> Break:
    """Change the layout of what a node writes, or reads first; without changes it has none."""

    def broken(placed: Placed) -> Placed:
        [n] = [n for n in placed.nodes if n.key == key]
        tensor, layouts = n.inputs[0] if of_input else n.output, list(placed.layouts)
        old = layouts[tensor] or PlaneLayout(h=1, w=1, pitch=1, plane=1)
        layouts[tensor] = replace(old, **changes) if changes else None
        return replace(placed, layouts=tuple(layouts))

    return broken


def shape(tensor: int, found: tuple[int, ...]) -> Break:
    """Change a tensor's shape."""

    def broken(graph: Graph | Placed) -> Graph | Placed:
        shapes = list(graph.shapes)
        shapes[tensor] = found
        return replace(graph, shapes=tuple(shapes))

    return broken


def swapped(first: str, second: str) -> Break:
    """Let two nodes change places."""

    def broken(graph: Graph) -> Graph:
        nodes = list(graph.nodes)
        i, j = ([n.key for n in nodes].index(key) for key in (first, second))
        nodes[i], nodes[j] = nodes[j], nodes[i]
        return replace(graph, nodes=tuple(nodes))

    return broken


def conv(change: Callable[[Any], Any]) -> Break:
    """Change a fused convolution's layer."""
    return lambda n: replace(n.operator, layer=change(n.operator.layer))


def joined(breaks: Break) -> Break:
    """Change the graph with the chains."""
    return lambda made: replace(made, graph=breaks(made.graph))


def undefined(module: IRModule) -> IRModule:
    """A function that reads a variable which is nobody's."""
    tensor = relax.TensorType((1, 2), "float32")
    body = relax.BindingBlock([relax.VarBinding(relax.Var("z", tensor), relax.Var("nobody", tensor))])
    x = relax.Var("x", tensor)
    return IRModule({"main": relax.Function([x], relax.SeqExpr([body], x), tensor)})


def reordered(found: ChannelOrder) -> Break:
    return lambda permuted: replace(permuted, orders={0: found})


def kernel(position: int, **changes: Callable[[Any], Any]) -> Break:
    """Change a lowered step."""

    def broken(lowered: list[Any]) -> list[Any]:
        n, k = lowered[position]
        changed = replace(k, **{name: value(k) for name, value in changes.items()})
        return [*lowered[:position], (n, changed), *lowered[position + 1 :]]

    return broken


def step(position: int, **changes: Any) -> Break:
    """Change a step of the program."""

    def broken(assembled: Any) -> Any:
        steps = list(assembled.program.steps)
        steps[position] = replace(steps[position], **changes)
        return replace(assembled, program=replace(assembled.program, steps=tuple(steps)))

    return broken


def _narrower(layer: Any) -> Any:
    spec = replace(layer.spec, oc=63)
    return replace(layer, spec=spec, weight=layer.weight[:63], bias=layer.bias[:63])


def _strided(argument: Any) -> Any:
    return argument if isinstance(argument, int) else np.repeat(argument, 2)[::2]


@dataclass(frozen=True)
class Case:
    """A stage, what is broken of what it made, and what is said."""

    stage: str
    breaks: Break
    says: str
    network: str = "joined"


#: what is broken -> how
CASES = {
    # modules and plans
    "import": Case("import", lambda made: replace(made, module=undefined(made.module)), "Var nobody is not defined"),
    "fuse": Case("fuse", lambda made: replace(made, module=undefined(made.module)), "Var nobody is not defined"),
    "legalize": Case("legalize", undefined, "Var nobody is not defined"),
    "two plans": Case("analyse", lambda plan: replace(plan, layers=plan.layers * 2), "stem: has several plans"),
    "no plan": Case(
        "reorder", lambda p: replace(p, plan=replace(p.plan, layers=p.plan.layers[1:])), "stem: has no plan"
    ),
    "an order": Case(
        "reorder", reordered(ChannelOrder((1, 3, 32, 32), 1, np.array([0, 1, 1]))), "expected every channel of"
    ),
    "an order's shape": Case(
        "reorder", reordered(ChannelOrder((1, 4, 32, 32), 1, np.arange(4))), "expected every channel of"
    ),
    # numbers and order
    "no such tensor": Case("extract", node("stem", inputs=(99,)), r"stem: found tensor t99, expected one of the 13"),
    "no such result": Case("layout", node("stem", output=-1), r"stem: found tensor t-1"),
    "no such port": Case("split", lambda g: replace(g, outputs=(77,)), "the caller: found tensor t77"),
    "nobody writes": Case(
        "join", joined(lambda g: replace(g, nodes=g.nodes[1:])), "wide: reads t1, which nobody writes"
    ),
    "a cycle": Case(
        "extract", node("stem", inputs=lambda n: (3,)), "stem: reads t3, which only depthwise writes, later"
    ),
    "itself": Case(
        "extract", node("stem", inputs=lambda n: (n.output,)), "stem: reads t1, which only stem writes, later"
    ),
    "order": Case("split", swapped("stem", "wide"), "wide: reads t1, which only stem writes, later"),
    "twice": Case("extract", node("wide", output=1), "wide: writes t1, which is written before"),
    "over an input": Case("extract", node("wide", output=0), "wide: writes t0, which is written before"),
    "no result": Case("extract", lambda g: replace(g, nodes=g.nodes[:-1]), "the caller: expects t12, which nobody"),
    "one key": Case("extract", node("wide", key="stem"), "stem: is the key of 2 nodes"),
    # shapes
    "an image": Case(
        "extract", shape(1, (1, 32, 16, 15)), "stem: found 1x3x32x32 to 1x32x16x15, expected 1x3x32x32 to"
    ),
    "a list": Case("extract", shape(11, (1, 47)), "hidden: found 1x96 to 1x47, expected 1x96x1x1 to 1x48x1x1"),
    "a residual": Case("extract", node("square", inputs=(3, 1)), "square: found 1x64x16x16, 1x32x16x16 to"),
    "no residual": Case(
        "extract", node("square", inputs=(3,)), "square: found 1x64x16x16 to 1x64x16x16, expected 1x64"
    ),
    "a view": Case("extract", shape(10, (1, 95)), "view: found 1x96x1x1 to 1x95, expected as many numbers"),
    "a mean": Case("extract", shape(9, (1, 95, 1, 1)), "mean: found 1x96x8x8 to 1x95x1x1, expected"),
    "a pool": Case("extract", shape(5, (1, 64, 15, 16)), "max_pool2d: found 1x64x16x16 to 1x64x15x16, expected"),
    "weights": Case(
        "extract",
        node("stem", operator=conv(lambda layer: replace(layer, weight=layer.weight[:, :2]))),
        "stem: found weight and bias 32x2x3x3, 32, expected 32x3x3x3, 32",
    ),
    "a bias": Case(
        "split",
        node("stem", operator=conv(lambda layer: replace(layer, bias=layer.bias[:31]))),
        "stem: found weight and bias 32x3x3x3, 31",
    ),
    "tiles in": Case("split", shape(13, (1, 2304, 1, 15)), "square_winograd_in: found 1x64x16x16 to 1x2304x1x15"),
    "tiles out": Case("split", shape(14, (1, 2303, 1, 16)), "square_winograd_out: found 1x2303x1x16, 1x64x16x16 to"),
    "a chain": Case(
        "join",
        joined(
            node(
                "wide",
                operator=lambda n: replace(n.operator, conv=conv(_narrower)(replace(n, operator=n.operator.conv))),
            )
        ),
        "wide: found 1x63x16x16 between both layers, expected 1x64x16x16",
    ),
    "a copy": Case("layout", shape(15, (1, 3, 32, 31)), "pack_stem: found 1x3x32x32 to 1x3x32x31, expected as many"),
    "a function": Case(
        "extract",
        node("fused_softmax_multiply", operator=lambda n: replace(n.operator, function="gone")),
        "found no function gone",
    ),
    "arguments": Case("extract", node("fused_softmax_multiply", inputs=(6,)), "found 1 tensors, expected 2"),
    "more arguments": Case("extract", node("fused_softmax_multiply", inputs=(6, 7, 7)), "found 3 tensors, expected 2"),
    "a function's shapes": Case(
        "extract", node("fused_softmax_multiply", inputs=(6, 5)), "as fused_softmax_multiply has"
    ),
    "the interface": Case(
        "reorder",
        lambda p: replace(p, graph=replace(p.graph, outputs=p.graph.outputs * 2)),
        r"the caller: found tensors .* as before",
    ),
    # layouts
    "too few layouts": Case(
        "layout", lambda p: replace(p, layouts=p.layouts[:-1]), "found 16 layouts, expected one for each"
    ),
    "no layout": Case("layout", layout("stem"), "t1: found no layout for 4 axes"),
    "a layout": Case("layout", layout("head", h=1), "t12: found a layout for 2 axes"),
    "another image": Case("layout", layout("stem", w=15), "t1: found a layout for 16x15 pixels, expected 16x16"),
    "a pitch": Case(
        "layout", layout("down", pitch=8), "t6: found planes of 96 floats, rows of 8, too few for the halo"
    ),
    "a zone": Case(
        "layout", layout("down", plane=72), "t6: found planes of 72 floats, rows of 9, too few for the halo"
    ),
    "a lead": Case("layout", layout("down", lead=0), "t6: found 0 floats before and 10 after, too few for the halo"),
    "a tail": Case("in place", layout("down", tail=0), "t6: found 16 floats before and 0 after, too few for the halo"),
    "the caller's": Case(
        "layout", layout("pack_stem", of_input=True, pitch=33, plane=1056), "t0: is the caller's, and not"
    ),
    "packs": Case("layout", node("stem", packs=True), "stem: copies planes into scratch memory, which only windows do"),
    "no halo": Case("layout", layout("down", halo=(0, 0, 0, 0)), "grouped: reads t6 with padding .* a halo of"),
    "no phases": Case("layout", node("stem", inputs=(0,)), "stem: reads t0 with stride .* and not in its phases"),
    "a phase": Case("layout", layout("pack_stem", phases=((0, 0), (0, 1), (1, 0))), "stem: reads t15 with stride"),
    "phases' rows": Case("layout", layout("pack_stem", pitch=16), "stem: reads t15 with stride"),
    "phases in rows": Case("layout", layout("down", step=(2, 2)), "grouped: reads t6 in rows, and it lies in phases"),
    "phases written": Case("layout", layout("down", deal=2), "down: writes t6 in phases, which only copies do"),
    "phases of an operator": Case("layout", layout("grouped", deal=2), "multiply: reads t7, which lies in phases, as"),
    "phases by an operator": Case(
        "layout", layout("fused_softmax_multiply", deal=2), "writes t8 in phases, which only"
    ),
    "phases packed": Case(
        "layout", layout("square_winograd_out", deal=2), "max_pool2d: packs t4, which lies in phases"
    ),
    "a maximum": Case(
        "layout", node("max_pool2d", packs=False), "max_pool2d: reads t4 with padding .* takes the maximum"
    ),
    "a list in planes": Case(
        "layout", layout("mean", pitch=2, plane=2), "mean: t9 is a list of numbers to it, and not"
    ),
    "pitches": Case("layout", layout("layer_0", pitch=23, plane=560), "reads rows of 23.* floats, expected 22", "wide"),
    "a residual's pitch": Case(
        "layout",
        node("layer_1_body", inputs=lambda n: (n.inputs[0], 0)),
        "layer_1_body: reads rows of 20, 22 floats, expected 22",
        "wide",
    ),
    "packed planes": Case(
        "layout", layout("layer_2", pitch=10, plane=112), "layer_2: reads rows of .* expected room for", "wide"
    ),
    "no images": Case("layout", node("grouped", inputs=(12,)), "grouped: "),
    "room between": Case("layout", layout("stem", pitch=16), "wide: reads rows of 16 floats .* expected room for"),
    # in place
    "read later": Case(
        "in place", node("layer_4", inputs=(1,)), "layer_2: writes over t1, and layer_4 reads t1 later", "in place"
    ),
    "the caller reads": Case(
        "in place", lambda p: replace(p, outputs=(2,)), "layer_2: writes over t1, and t2 is the caller's", "in place"
    ),
    "moved planes": Case(
        "in place", layout("layer_2", plane=64), "layer_2: works in place, and its result's", "in place"
    ),
    "no window": Case(
        "in place", node("layer_4", in_place=True), "layer_4: works in place, which only depthwise", "in place"
    ),
    # kernels and program
    "arguments of a kernel": Case(
        "lower", kernel(1, arguments=lambda k: k.arguments[1:]), "stem: found 4 arguments|stem: found "
    ),
    "tensors of a kernel": Case("lower", kernel(1, arguments=lambda k: (*k.arguments[:-1], 0)), "stem: found tensors"),
    "a constant": Case(
        "lower", kernel(1, arguments=lambda k: tuple(map(_strided, k.arguments))), "stem: has a constant that"
    ),
    "a step": Case("assemble", step(1, args=()), "program net"),
    "a kernel": Case("assemble", step(1, symbol="net_gone"), "stem: found no kernel net_gone"),
}
