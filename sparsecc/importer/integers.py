"""Whole numbers at a network's borders: inputs of bytes, labels, masks.

Between kernels nearly everything is float32. Tensors of integers are inputs, what ``argmax`` and the like give, and
what is made of them by moving elements or by whole arithmetic. What gives float32 reads them as float32, as PyTorch
does. Truth values are float32 between kernels, 0 or 1, and bytes at the borders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context
from sparsecc.importer.names import layer_name
from sparsecc.importer.pointwise import element_of
from sparsecc.ir.port_types import INTEGERS, stored
from sparsecc.kernels.extremes import f32

Expr = Any
Translate = Callable[[Context, fx.Node], Any]

#: PyTorch's types of whole numbers
TYPES = frozenset(getattr(torch, name) for name in INTEGERS)


def name_of(dtype: torch.dtype) -> str:
    """NumPy's name of one of PyTorch's types."""
    return str(dtype).removeprefix("torch.")


def relax_type(value: torch.Tensor) -> Any:
    """Type of an input's variable."""
    return relax.TensorType(tuple(value.shape), stored(name_of(value.dtype)))


def begin(ctx: Context, node: fx.Node) -> None:
    """An input: truth values become float32, integers stay what they are."""
    dtype = node.meta["val"].dtype
    if dtype is torch.bool:
        ctx.values[node] = _elementwise(ctx, node, lambda x: _truth(x != tirx.const(0, "uint8")), ctx.values[node])
    elif dtype in TYPES:
        ctx.integers.add(node)


def result(ctx: Context, node: fx.Node) -> Any:
    """A value that the network returns, in the type that it has in PyTorch; what depends on no input is copied."""
    dtype = node.meta["val"].dtype
    if not ctx.is_constant(node):
        return _elementwise(ctx, node, _as_byte, ctx.value(node)) if dtype is torch.bool else ctx.value(node)
    if dtype is torch.float32:
        return ctx.copy(node)
    kind = stored(name_of(dtype))
    array = ctx.array(node, "an output").astype(kind)
    other = kind.removeprefix("u") if kind.startswith("u") else f"u{kind}"
    return _elementwise(
        ctx, node, lambda x: tirx.reinterpret(kind, tirx.reinterpret(other, x)), relax.const(array, kind)
    )


def on_integers(ctx: Context, node: fx.Node, translate: Translate, *, moves: bool) -> Any:
    """Translate a node that reads integers; ``moves`` where it gives its operands' elements as they are.

    Raises
    ------
    NotSupportedError
        It computes integers in a way that we don't.
    """
    value = node.meta.get("val")
    kinds = {one.dtype for one in (value if isinstance(value, list | tuple) else [value]) if one is not None}
    if operator_of(node) in INTEGER:
        found = INTEGER[operator_of(node)](ctx, node)
        if found is not None:
            return found
    if kinds <= {torch.float32, torch.bool}:
        before = {source: ctx.values[source] for source in node.all_input_nodes if source in ctx.integers}
        ctx.values.update({source: as_float(ctx, source) for source in before})
        try:
            return translate(ctx, node)
        finally:
            ctx.values.update(before)
    if not moves or not all(source in ctx.integers for source in node.all_input_nodes):
        raise NotSupportedError(
            f"layer {layer_name(node)}: operator {node.target} gives {', '.join(map(str, kinds))} of integers, "
            "expected float32: use .float() before it"
        )
    ctx.integers.add(node)
    return translate(ctx, node)


def picked(ctx: Context, node: fx.Node) -> Any:
    """One of several results."""
    if node.meta["val"].dtype in TYPES:
        ctx.integers.add(node)
    return ctx.value(node.args[0])[node.args[1]]


def as_float(ctx: Context, node: fx.Node) -> Any:
    """A tensor of integers as float32, rounded as PyTorch rounds."""
    value = ctx.value(node)
    if value not in ctx.floats:
        convert = _float_of_long if node.meta["val"].dtype is torch.int64 else lambda x: tirx.Cast("float32", x)
        ctx.floats[value] = _elementwise(ctx, node, convert, value)
    return ctx.floats[value]


def operator_of(node: fx.Node) -> str:
    """Name with overload, without its library."""
    return str(node.target).removeprefix("aten.")


def convert(ctx: Context, node: fx.Node) -> Any:
    """``x.to(dtype)`` from or to integers: toward zero, and what does not fit keeps its low bits."""
    (source,) = node.all_input_nodes
    to, value = node.meta["val"].dtype, ctx.value(source)
    if to not in TYPES:
        return None
    kind = name_of(to)
    ctx.integers.add(node)
    if source not in ctx.integers:  # float32, or truth values: by way of integers that have room for what is common
        if to is torch.int64:
            return _elementwise(ctx, node, _long_of_float, value)
        return _elementwise(ctx, node, lambda x: tirx.Cast(kind, tirx.Cast("int32", x)), value)
    return value if source.meta["val"].dtype is to else _elementwise(ctx, node, lambda x: tirx.Cast(kind, x), value)


def _long_of_float(x: Expr) -> Expr:
    """Toward zero, by 32-bit conversions of what is left: 32-bit ARM has no others, AVX2 no vectors of them."""
    high = tirx.Cast("int32", x * f32(2.0**-32))
    x = x - tirx.Cast("float32", high) * f32(2.0**32)
    middle = tirx.Cast("int32", x * f32(2.0**-16))
    low = tirx.Cast("int32", x - tirx.Cast("float32", middle) * f32(2.0**16))
    wide = [tirx.Cast("int64", part) for part in (high, middle, low)]
    return wide[0] * tirx.const(2**32, "int64") + wide[1] * tirx.const(2**16, "int64") + wide[2]


def _float_of_long(x: Expr) -> Expr:
    """The same the other way, by float64: beyond 2**53 it is rounded twice, which may show in the last bit."""
    high = tirx.Cast("float64", tirx.Cast("int32", tirx.shift_right(x, tirx.const(32, "int64"))))
    low = tirx.Cast("float64", tirx.Cast("uint32", x))
    return tirx.Cast("float32", high * tirx.const(2.0**32, "float64") + low)


def _arithmetic(combine: Callable[[Expr, Expr], Expr]) -> Translate:
    def translate(ctx: Context, node: fx.Node) -> Any:
        """Sums, differences and products of integers."""
        a, b, alpha = arguments(node, 3, [None, None, 1]) if "mul" not in operator_of(node) else (*node.args, 1)
        to = node.meta["val"].dtype
        if to not in TYPES or alpha != 1:
            return None
        ctx.integers.add(node)
        kind = name_of(to)
        return _elementwise(ctx, node, lambda x, y: combine(tirx.Cast(kind, x), tirx.Cast(kind, y)), a, b)

    return translate


def _comparison(compare: Callable[[Expr, Expr], Expr]) -> Translate:
    def translate(ctx: Context, node: fx.Node) -> Any:
        """Comparisons of integers with each other, exact; 1 where they hold."""
        a, b = arguments(node, 2, [None, None])
        if not all(_is_whole(ctx, value) for value in (a, b)):
            return None
        wide = [lambda x: tirx.Cast("int64", x)] * 2
        return _elementwise(ctx, node, lambda x, y: _truth(compare(wide[0](x), wide[1](y))), a, b)

    return translate


def _is_whole(ctx: Context, value: Any) -> bool:
    if not isinstance(value, fx.Node):
        return isinstance(value, int)
    return value in ctx.integers or (ctx.is_constant(value) and value.meta["val"].dtype in TYPES)


def _elementwise(ctx: Context, node: fx.Node, function: Callable[..., Expr], *operands: Any) -> Any:
    """``function`` of the elements of operands that are broadcast; each has its own type."""
    shape = tuple(int(extent) for extent in node.meta["val"].shape)

    def of(*tensors: Any) -> Any:
        return te.compute(shape, lambda *i: function(*(element_of(x, i) for x in tensors)), name="integers")

    return ctx.compute(node, of, *(_operand(ctx, value) for value in operands))


def _operand(ctx: Context, value: Any) -> Any:
    if isinstance(value, int):
        return relax.const(value, "int64")
    if isinstance(value, fx.Node) and ctx.is_constant(value):
        array = np.asarray(ctx.array(value, "an operand"))
        return relax.const(array, str(array.dtype))
    return ctx.value(value) if isinstance(value, fx.Node) else value


def _truth(condition: Expr) -> Expr:
    return tirx.Select(condition, f32(1), f32(0))


def _as_byte(x: Expr) -> Expr:
    return tirx.Select(x != f32(0), tirx.const(1, "uint8"), tirx.const(0, "uint8"))


#: operators that have an own translation where an operand or the result is a tensor of integers; None: not of these
INTEGER: dict[str, Translate] = {
    "_to_copy.default": convert,
    "add.Tensor": _arithmetic(lambda a, b: a + b),
    "add.Scalar": _arithmetic(lambda a, b: a + b),
    "sub.Tensor": _arithmetic(lambda a, b: a - b),
    "sub.Scalar": _arithmetic(lambda a, b: a - b),
    "rsub.Tensor": _arithmetic(lambda a, b: b - a),
    "rsub.Scalar": _arithmetic(lambda a, b: b - a),
    "mul.Tensor": _arithmetic(lambda a, b: a * b),
    "mul.Scalar": _arithmetic(lambda a, b: a * b),
    **{
        f"{name}.{kind}": _comparison(compare)
        for name, compare in {
            "eq": lambda a, b: tirx.EQ(a, b),
            "ne": lambda a, b: tirx.NE(a, b),
            "lt": lambda a, b: a < b,
            "le": lambda a, b: a <= b,
            "gt": lambda a, b: a > b,
            "ge": lambda a, b: a >= b,
        }.items()
        for kind in ("Tensor", "Scalar")
    },
}
