"""What must hold of a graph after every stage: numbers of tensors, order, keys, and shapes.

Each function yields what is wrong, in words; nothing where the graph is sound.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sparsecc._tvm import IRModule
from sparsecc.errors import InternalError
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.graph import FusedConv, Graph, Node
from sparsecc.ir.layer import ConvLayer, MeanLayer
from sparsecc.ir.norm import NormLayer
from sparsecc.ir.operator import Operator
from sparsecc.ir.pad import PadLayer
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.quantized import QuantizedConv
from sparsecc.ir.winograd import WinogradInput, WinogradOutput
from sparsecc.ir.winograd_conv import WinogradConv

Shape = tuple[int, ...]
AnyNode = Node | PlacedNode
#: kernels of operators whose keys need not differ: of views, and where only a function is looked up, by its name
_SHARED_KEYS = ("", "generic")


def graph_problems(graph: Graph | Placed, module: IRModule | None) -> Iterator[str]:
    """All of a graph whose tensors are numbered; ``module`` has the functions of generic operators, if it is known."""
    yield from _order(graph)
    yield from _keys(graph)
    for node in graph.nodes:
        yield from (f"{node.key}: {problem}" for problem in _shapes(node, graph, module))


def number_problems(graph: Graph | Placed) -> Iterator[str]:
    """Tensors without a shape: nothing else can be looked up then."""
    count = len(graph.shapes)
    named = [(node.key, tensor) for node in graph.nodes for tensor in (*node.inputs, node.output)]
    named += [("the caller", tensor) for tensor in (*graph.inputs, *graph.outputs)]
    for key, tensor in named:
        if not 0 <= tensor < count:
            yield f"{key}: found tensor t{tensor}, expected one of the {count} that have a shape"


def _order(graph: Graph | Placed) -> Iterator[str]:
    """Every tensor is written once, and before it is read; that leaves no room for a cycle."""
    makers = {node.output: node.key for node in graph.nodes}
    written = set(graph.inputs)
    for node in graph.nodes:
        for tensor in node.inputs:
            if tensor not in written:
                by = f"only {makers[tensor]} writes, later" if tensor in makers else "nobody writes"
                yield f"{node.key}: reads t{tensor}, which {by}"
        if node.output in written:
            yield f"{node.key}: writes t{node.output}, which is written before"
        written.add(node.output)
    for tensor in graph.outputs:
        if tensor not in written:
            yield f"the caller: expects t{tensor}, which nobody writes"


def _keys(graph: Graph | Placed) -> Iterator[str]:
    keys = Counter(node.key for node in graph.nodes if node.operator.kernel not in _SHARED_KEYS)
    for key, count in keys.items():
        if count > 1:
            yield f"{key}: is the key of {count} nodes"


def _shapes(node: AnyNode, graph: Graph | Placed, module: IRModule | None) -> Iterator[str]:
    """Tensors and constants of a node, held against what its operator wants."""
    inputs, output = [graph.shapes[t] for t in node.inputs], graph.shapes[node.output]
    operator = node.operator
    yield from _types(node, graph, module)
    if operator.kernel == "generic":
        yield from _generic(operator, inputs, output, module)
        return
    if operator.is_copy or not operator.kernel:
        alike = tuple if operator.is_copy else math.prod
        if [alike(shape) for shape in inputs] != [alike(output)]:
            yield f"found {_words(inputs)} to {_words([output])}, expected as many numbers, and one tensor"
        return
    yield from _weights(operator)
    wanted = _wanted(operator, output)
    if len(inputs) != len(wanted[:-1]) or not all(map(_fits, (*inputs, output), wanted)):
        yield f"found {_words(inputs)} to {_words([output])}, expected {_words(wanted[:-1])} to {_words(wanted[-1:])}"


def _types(node: AnyNode, graph: Graph | Placed, module: IRModule | None) -> Iterator[str]:
    """Tensors have the types that an operator's kernel wants."""
    operator: Any = node.operator
    tensors = (*node.inputs, node.output)
    found = [graph.type_of(tensor).dtype for tensor in tensors]
    wanted = [kind.dtype for kind in operator.types] or ["float32"] * len(found)
    if operator.kernel == "generic":
        if module is None or operator.function not in _names(module):
            return
        wanted = _parameter_types(operator, module)
    elif operator.is_copy or not operator.kernel:
        wanted = found[:1] * len(found)
    if found != wanted:
        yield f"found {', '.join(found[:-1])} to {found[-1]}, expected {', '.join(wanted[:-1])} to {wanted[-1]}"


def _names(module: IRModule) -> set[str]:
    return {var.name_hint for var in module.get_global_vars()}


def _parameter_types(operator: Any, module: IRModule) -> list[str]:
    """Of the tensors that a generic operator's function has, its result last."""
    *given, result = [str(param.ty.dtype.dtype) for param in module[operator.function].params]
    return [*(kind for kind, constant in zip(given, operator.constants, strict=False) if constant is None), result]


def _wanted(operator: Operator, output: Shape) -> list[Shape]:
    """Shapes that a layer reads, and last the one that it writes."""
    if operator.kernel in _WANTED:
        return _WANTED[operator.kernel](operator, output)
    if operator.planes is None:
        raise InternalError(f"checker: no shapes for {operator.kernel}, expected them in {__name__}")
    return [_ends(operator.planes)[0], _ends(operator.follower or operator.planes)[1]]


def _conv(operator: FusedConv, output: Shape) -> list[Shape]:
    source, result = _ends(operator.layer.spec)
    return [source, *_residual(operator.epilogue, output), result]


def _quantized(operator: QuantizedConv, output: Shape) -> list[Shape]:
    source, result = _ends(operator.spec)
    return [source, *([output] * (operator.residual is not None)), result]


def _mean(operator: MeanLayer, _output: Shape) -> list[Shape]:
    return [(operator.n, operator.c, operator.h, operator.w), (operator.n, operator.c, 1, 1)]


def _norm(operator: NormLayer, _output: Shape) -> list[Shape]:
    return [operator.shape, operator.shape]


def _pad(operator: PadLayer, _output: Shape) -> list[Shape]:
    return [operator.shape, (*operator.shape[:2], len(operator.rows), len(operator.columns))]


def _winograd_in(operator: WinogradInput, _output: Shape) -> list[Shape]:
    return [_ends(operator.tiling.spec)[0], _ends(operator.tiling.product_spec)[0]]


def _winograd_out(operator: WinogradOutput, output: Shape) -> list[Shape]:
    source, result = _ends(operator.tiling.product_spec)[1], _ends(operator.tiling.spec)[1]
    return [source, *_residual(operator.epilogue, output), result]


def _winograd_conv(operator: WinogradConv, output: Shape) -> list[Shape]:
    source, result = _ends(operator.tiling.spec)
    return [source, *_residual(operator.epilogue, output), result]


def _residual(epilogue: Epilogue, output: Shape) -> list[Shape]:
    """It is as the output."""
    return [output] * (epilogue.residual != "none")


#: kernel -> shapes that its operator reads and, last, writes; those of windows and chains are their planes
_WANTED: dict[str, Callable[[Any, Shape], list[Shape]]] = {
    "conv": _conv,
    "depthwise": _conv,
    "linear": _conv,
    "mean": _mean,
    "norm": _norm,
    "pad": _pad,
    "qconv": _quantized,
    "qdepthwise": _quantized,
    "qlinear": _quantized,
    "winograd_conv": _winograd_conv,
    "winograd_in": _winograd_in,
    "winograd_out": _winograd_out,
}


def _convolutions(operator: Any) -> list[ConvLayer]:
    """Layers with weights that an operator computes."""
    parts = (operator.conv, operator.window) if operator.kernel == "chain" else (operator,)
    return [part.layer for part in parts if part.kernel in ("conv", "depthwise", "linear", "winograd_conv")]


def _weights(operator: Operator) -> Iterator[str]:
    """Weights as the specs say; and of a chain, that the second layer reads what the first one writes."""
    for layer in _convolutions(operator):
        if layer.weight.shape != layer.spec.weight_shape or layer.bias.shape != (layer.spec.oc,):
            found = _words([layer.weight.shape, layer.bias.shape])
            yield f"found weight and bias {found}, expected {_words([layer.spec.weight_shape, (layer.spec.oc,)])}"
    if operator.planes is not None and operator.follower is not None:
        between = _ends(operator.planes)[1], _ends(operator.follower)[0]
        if between[0] != between[1]:
            yield f"found {_words(between[:1])} between both layers, expected {_words(between[1:])}"


def _generic(operator: Any, inputs: Sequence[Shape], output: Shape, module: IRModule | None) -> Iterator[str]:
    given = iter(inputs)
    shapes = [next(given, None) if constant is None else constant.shape for constant in operator.constants]
    if None in shapes or next(given, None) is not None:
        count = sum(constant is None for constant in operator.constants)
        yield f"found {len(inputs)} tensors, expected {count}"
    elif module is not None:
        if operator.function not in _names(module):
            yield f"found no function {operator.function}"
            return
        parameters = module[operator.function].params
        wanted = [tuple(int(n) for n in param.ty.shape) for param in parameters]
        found = [*(shape for shape in shapes if shape is not None), output]
        if found != wanted:
            yield f"found {_words(found)}, expected {_words(wanted)} as {operator.function} has them"


def _fits(found: Shape, wanted: Shape) -> bool:
    """Images are what a layer says; other tensors, of linear layers and after a mean, hold as many numbers."""
    is_image = len(found) == 4 and wanted[2:] != (1, 1)
    return found == wanted if is_image else math.prod(found) == math.prod(wanted)


def _ends(spec: ConvSpec) -> tuple[Shape, Shape]:
    return (spec.n, spec.ic, spec.ih, spec.iw), (spec.n, spec.oc, spec.oh, spec.ow)


def _words(shapes: Sequence[Shape]) -> str:
    return ", ".join("x".join(map(str, shape)) or "a number" for shape in shapes) or "nothing"
