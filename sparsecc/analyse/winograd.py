"""Which layers Winograd's algorithm computes, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec

#: best side of an output tile and predicted speed-up over the direct kernel with the same blocks (None: all of them);
#: None for a layer that gains nothing
Gain = Callable[[ConvSpec, Structure | None], tuple[int, float] | None]


def with_winograd(layer: LayerPlan, gain: Gain | None) -> LayerPlan:
    """Let a convolution be computed by Winograd's algorithm where that is predicted to gain.

    Weights that are NaN or infinite are left to the direct kernel: in a transform they would reach every tile. So are
    blocks of one tap: their kernels are partly zero, and no transformed one is.
    """
    found = layer.structure
    if gain is None or layer.kind != "conv" or found is None or found.non_finite or found.all_zero:
        return layer
    if layer.kept is not None and layer.kept.by_tap:
        return layer
    best = gain(layer.spec, layer.kept)
    if best is None:
        return layer
    m, speedup = best
    reason = f"{layer.reason}; computed by Winograd's F({m}x{m}, 3x3)"
    predicted = speedup if layer.decision == "dense" else layer.predicted
    return replace(layer, tile=m, predicted=predicted, reason=reason)
