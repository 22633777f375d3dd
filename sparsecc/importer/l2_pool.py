"""``LPPool2d`` of order 2, which PyTorch writes as eight operators."""

from __future__ import annotations

from typing import Any

from torch import fx

from sparsecc.importer.arguments import operator_name
from sparsecc.importer.context import Context
from sparsecc.importer.idioms import Idiom
from sparsecc.importer.layers import average
from sparsecc.ir.l2_pool import L2PoolLayer
from sparsecc.ir.layer import PoolLayer


def l2_pool(node: fx.Node) -> Idiom | None:
    """``lp_pool2d(x, 2, kernel, stride, ceil_mode)``: ``nn.LPPool2d`` of order 2.

    PyTorch computes ``pow(sign(mean) * relu(abs(mean)) * k, 0.5)`` of ``mean = avg_pool2d(pow(x, 2))``.
    """
    scaled, root = _operands(node, "pow")
    signed, factor = _operands(scaled, "mul")
    sign, positive = _operands(signed, "mul")
    mean, *_ = _operands(sign, "sign")
    magnitude, *_ = _operands(positive, "relu")
    same, *_ = _operands(magnitude, "abs")
    squares, *_ = _operands(mean, "avg_pool2d")
    x, exponent = _operands(squares, "pow")
    if x is None or same is not mean or root != 0.5 or exponent != 2 or not _is_positive(factor):
        return None

    def translate(ctx: Context) -> Any:
        def make(layer: PoolLayer) -> L2PoolLayer:
            return L2PoolLayer(layer, float(factor))

        return average(ctx, mean, ctx.value(x), make)

    inside = frozenset({scaled, signed, sign, positive, magnitude, mean, squares})
    return Idiom(inside, translate)


def _operands(node: Any, name: str) -> tuple[Any, Any]:
    """The first two arguments of an operator's call; None for those of anything else, or missing."""
    args = node.args if isinstance(node, fx.Node) and operator_name(node) == name else ()
    return (*args, None, None)[:2]


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0
