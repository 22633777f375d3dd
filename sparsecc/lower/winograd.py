"""Winograd's transforms: choose how much of a plane is worked on at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.winograd import Tiling, WinogradInput, WinogradOutput
from sparsecc.kernels.winograd_input import WinogradInputShape, winograd_input
from sparsecc.kernels.winograd_output import WinogradOutputShape, winograd_output
from sparsecc.lower.cost.winograd import input_cycles, output_cycles
from sparsecc.lower.kernel import Cost, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.site import Site
from sparsecc.target import Target

#: share of the first cache for a band's scratch memory; the rest is for what streams by
_L1_SHARE = 0.5


def input_opened(site: Site[WinogradInput]) -> WinogradInputShape:
    """Shape of the transform of a layer's input."""
    operator = site.operator
    listed = len(operator.read or ())
    return WinogradInputShape(operator.tiling, site.source, site.result, site.target.lanes, listed)


def input_lower(site: Site[WinogradInput], shape: WinogradInputShape, config: None) -> Lowered:
    """Make it."""
    channels = site.operator.read
    listed = () if channels is None else (np.array(channels, np.int32),)
    arguments = (site.node.inputs[0], *listed, site.node.output)
    facts = {"tile": shape.tiling.m, "lanes": shape.cut.lanes, "channels": shape.listed or shape.tiling.spec.ic}
    return Lowered("winograd_in", ("winograd_in", shape), winograd_input(shape), arguments, facts)


def input_cost(site: Site[WinogradInput], once: Once) -> Cost:
    """Cycles of the transform."""
    tiling, channels = site.operator.tiling, site.operator.read
    share = 1.0 if channels is None else len(channels) / tiling.spec.ic
    return Cost("winograd", rest=input_cycles(tiling, site.target, share))


def output_opened(site: Site[WinogradOutput]) -> WinogradOutputShape:
    """Shape of the transform back to pixels, with the layer's epilogue."""
    tiling, target = site.operator.tiling, site.target
    band = _band(tiling, tiling.m * tiling.m * tiling.cols, target)
    return WinogradOutputShape(tiling, site.source, site.store(site.operator.epilogue), target.lanes, band)


def output_lower(site: Site[WinogradOutput], shape: WinogradOutputShape, config: None) -> Lowered:
    """Make it."""
    products, *residual = site.node.inputs
    bias = site.operator.layer.bias
    arguments: tuple[int | NDArray[Any], ...] = (products, bias, *residual, site.node.output)
    facts = {"tile": shape.tiling.m, "band": shape.band}
    return Lowered("winograd_out", ("winograd_out", shape), winograd_output(shape), arguments, facts)


def output_cost(site: Site[WinogradOutput], once: Once) -> Cost:
    """Cycles of the transform back."""
    return Cost("winograd", rest=output_cycles(site.operator.tiling, site.target))


def _band(tiling: Tiling, floats: int, target: Target) -> int:
    """Rows of tiles at a time: as many as have their scratch memory, ``floats`` each, in the first cache; evenly."""
    most = max(1, int(_L1_SHARE * target.l1_bytes) // (4 * floats))
    return -(-tiling.rows // -(-tiling.rows // most))
