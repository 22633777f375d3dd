"""Values that are quantized to 8-bit codes, and what may be done with the codes in the place of the values.

torchao's PT2E flow leaves pairs of quantize and dequantize around float operators. Both become elementwise functions,
marked so that the layer between them may take them in. What only moves elements, and maxima, give the same with codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

from torch import fx

from sparsecc._tvm import te
from sparsecc.importer.code_arguments import parameters
from sparsecc.importer.context import Context
from sparsecc.ir.quantized import DEQUANTIZE, QUANTIZE, Coded
from sparsecc.kernels.codes import decoded, encoded

Translate = Callable[[Context, fx.Node], Any]


def quantize(ctx: Context, node: fx.Node) -> Any:
    """``quantize_per_tensor(x, scale, zero_point, low, high, dtype)``."""
    coded = parameters(ctx, node)
    return _codes(ctx, node, node.args[0], coded)


def dequantize(ctx: Context, node: fx.Node) -> Any:
    """``dequantize_per_tensor(codes, scale, zero_point, low, high, dtype)``."""
    return values_of(ctx, node, ctx.value(node.args[0]), parameters(ctx, node))


def values_of(ctx: Context, node: fx.Node, codes: Any, coded: Coded) -> Any:
    """What codes stand for; it is remembered that they do."""

    def of(x: Any) -> Any:
        def elementwise(x: Any) -> Any:
            return te.compute(x.shape, lambda *i: decoded(x(*i), coded.quantization), name="dequantize")

        value = ctx.compute(node, elementwise, x, attrs={DEQUANTIZE: coded.to_text()})
        ctx.codes[value] = (x, coded)
        return value

    value = ctx.on_images(of, codes)
    ctx.codes[value] = (codes, coded)
    return value


def moved(ctx: Context, node: fx.Node, translate: Translate) -> Any:
    """A node that gives the same with codes: translated with them where all that it reads stands for some, alike."""
    sources = _sources(node)
    known = [ctx.codes.get(ctx.value(source)) for source in sources]
    kinds = {None if found is None else found[1] for found in known}
    if None in kinds or len(kinds) != 1:
        return translate(ctx, node)
    with _standing_for(ctx, {source: found[0] for source, found in zip(sources, known, strict=True) if found}):
        result = translate(ctx, node)
    (coded,) = (kind for kind in kinds if kind is not None)
    if isinstance(result, tuple):
        return tuple(None if one is None else values_of(ctx, node, one, coded) for one in result)
    return values_of(ctx, node, result, coded)


def _codes(ctx: Context, node: fx.Node, source: Any, coded: Coded) -> Any:
    """Codes of a node's value: those that it was made from, or of what was moved to make it, or computed."""
    value = ctx.value(source)
    known = ctx.codes.get(value)
    if known is not None and known[1] == coded:
        return known[0]
    if source in ctx.movable and len(source.users) == 1:
        before = {operand: _codes(ctx, node, operand, coded) for operand in _sources(source)}
        with _standing_for(ctx, before):
            return ctx.movable[source](ctx, source)
    to = coded.quantization

    def elementwise(x: Any) -> Any:
        return te.compute(x.shape, lambda *i: encoded(x(*i), to, low=coded.low, high=coded.high), name="quantize")

    return ctx.on_images(lambda x: ctx.compute(node, elementwise, x, attrs={QUANTIZE: coded.to_text()}), value)


def _sources(node: fx.Node) -> list[Any]:
    first: Any = node.args[0]
    return list(first) if isinstance(first, list | tuple) else [first]


@contextmanager
def _standing_for(ctx: Context, codes: Mapping[Any, Any]) -> Any:
    """Let nodes have other values for a while."""
    before = {node: ctx.values[node] for node in codes}
    ctx.values.update(codes)
    try:
        yield
    finally:
        ctx.values.update(before)


#: operators on the borders of what is quantized
CODES: dict[str, Translate] = {
    "quantized_decomposed.quantize_per_tensor.default": quantize,
    "quantized_decomposed.quantize_per_tensor.tensor": quantize,
    "quantized_decomposed.dequantize_per_tensor.default": dequantize,
    "quantized_decomposed.dequantize_per_tensor.tensor": dequantize,
}
