"""Which layers Winograd's algorithm computes, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sparsecc.analyse.layers import FoundLayer, LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.winograd import suits

#: best side of an output tile and predicted speed-up over the direct kernel with the same blocks (None: all of them);
#: None for a layer that gains nothing
Gain = Callable[[ConvSpec, Structure | None], tuple[int, float] | None]
#: what is added to a layer's reason, before the tile
_BY = "; computed by Winograd's"


def with_winograd(layer: LayerPlan, gain: Gain | None) -> LayerPlan:
    """Let a convolution be computed by Winograd's algorithm where that is predicted to gain.

    Weights that are NaN or infinite are left to the direct kernel: in a transform they would reach every tile. So are
    blocks of one tap: their kernels are partly zero, and no transformed one is.
    """
    if gain is None or layer.kind != "conv" or not has_finite_weights(layer):
        return layer
    if layer.kept is not None and layer.kept.by_tap:
        return layer
    best = gain(layer.spec, layer.kept)
    return layer if best is None else with_tile(layer, *best)


def with_tile(layer: LayerPlan, m: int, speedup: float) -> LayerPlan:
    """A layer without a tile, computed with one: so much faster than by the direct kernel with the same blocks."""
    predicted = speedup if layer.decision == "dense" else layer.predicted
    taps = f"{layer.spec.kh}x{layer.spec.kw}"
    return replace(layer, tile=m, predicted=predicted, reason=f"{layer.reason}{_BY} F({m}x{m}, {taps})")


def without_tile(layer: LayerPlan) -> LayerPlan:
    """The same blocks, by the direct kernel."""
    if layer.tile is None:
        return layer
    predicted = None if layer.decision == "dense" else layer.predicted
    return replace(layer, tile=None, predicted=predicted, reason=layer.reason.partition(_BY)[0])


def is_open(layer: FoundLayer) -> bool:
    """Whether more than one algorithm can compute a layer."""
    return layer.kind == "conv" and not layer.coded and suits(layer.spec) and has_finite_weights(layer)


def has_finite_weights(layer: FoundLayer | LayerPlan) -> bool:
    """Whether a layer has weights, none of which is NaN or infinite."""
    found = layer.structure
    return found is not None and not found.non_finite and not found.all_zero
