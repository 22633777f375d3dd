"""Norms by statistics of the input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparsecc._tvm import IRModule
from sparsecc.ir.layout import plain
from sparsecc.ir.norm import NormLayer
from sparsecc.kernels.activation import reference as activate
from sparsecc.kernels.norm import norm
from sparsecc.kernels.norm_shape import NormShape
from sparsecc.lower.cost.stream import norm_cycles
from sparsecc.lower.kernel import Array, Cost, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.site import Site


def opened(site: Site[NormLayer]) -> NormShape:
    """The kernel's shape."""
    operator = site.operator
    source, target = (site.source, site.result) if operator.is_image else (plain(1, 1), plain(1, 1))
    return NormShape(
        operator.items, operator.depth, operator.groups, source, target, operator.across, operator.centred,
        operator.eps, operator.activation,
    )  # fmt: skip


def lower(site: Site[NormLayer], shape: NormShape, config: None) -> Lowered:
    """Make the kernel."""
    node, operator = site.node, site.operator
    function = norm(shape, lanes=site.target.lanes)
    arguments = (node.inputs[0], operator.weight, operator.bias, node.output)
    return Lowered("norm", ("norm", shape), function, arguments, {})


def cost(site: Site[NormLayer], once: Once) -> Cost:
    """Cycles of the kernel."""
    return Cost("norm", rest=norm_cycles(opened(site), site.target))


def reference(operator: NormLayer, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """The norm: a tensor of the same shape."""
    x = inputs[0].astype(np.float64).reshape(operator.items, operator.depth, -1)
    axes = 1 if operator.across else (1, 2)
    centre = x - x.mean(axes, keepdims=True) if operator.centred else x
    with np.errstate(all="ignore"):
        y = centre / np.sqrt((centre**2).mean(axes, keepdims=True) + operator.eps)
    group = np.arange(operator.items) % operator.groups
    weight, bias = (w.reshape(operator.groups, -1)[group][:, :, None] for w in (operator.weight, operator.bias))
    done = np.asarray(y * weight + bias, np.float32)
    return activate(operator.activation, done).reshape(operator.shape)
