"""Convolutions of few input channels by Winograd's algorithm, in one kernel."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from sparsecc.ir.winograd_conv import TILE, WinogradConv, packed_weight
from sparsecc.kernels.winograd_conv import winograd_conv
from sparsecc.kernels.winograd_conv_shape import WinogradConvShape
from sparsecc.lower.cost.winograd_conv import at_once_cycles, channels_at_once
from sparsecc.lower.kernel import Cost, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.site import Site


def opened(site: Site[WinogradConv]) -> WinogradConvShape:
    """Shape of the kernel, with the layer's epilogue."""
    operator, target = site.operator, site.target
    reg_n = channels_at_once(operator.tiling.spec, target)
    return WinogradConvShape(operator.tiling, site.source, site.store(operator.epilogue), target.lanes, reg_n)


def lower(site: Site[WinogradConv], shape: WinogradConvShape, config: None) -> Lowered:
    """Transform the weights, and make the kernel."""
    image, *residual = site.node.inputs
    layer = site.operator.layer
    data = packed_weight(shape.tiling, layer.weight, reg_n=shape.reg_n)
    arguments: tuple[int | NDArray[Any], ...] = (image, data, layer.bias, *residual, site.node.output)
    facts = {"tile": TILE, "channels": shape.reg_n}
    return Lowered("winograd_conv", ("winograd_conv", shape), winograd_conv(shape), arguments, facts)


def cost(site: Site[WinogradConv], once: Once) -> Cost:
    """Cycles of the kernel."""
    return Cost("winograd", rest=at_once_cycles(site.operator.tiling, site.target))
