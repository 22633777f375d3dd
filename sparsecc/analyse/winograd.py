"""Which dense layers Winograd's algorithm computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sparsecc.analyse.layers import LayerPlan
from sparsecc.facts.conv import ConvSpec

#: best side of an output tile and predicted speed-up over the direct kernel; None for a layer that gains nothing
Gain = Callable[[ConvSpec], tuple[int, float] | None]


def with_winograd(layer: LayerPlan, gain: Gain | None) -> LayerPlan:
    """Let a dense convolution be computed by Winograd's algorithm where that is predicted to gain.

    Weights that are NaN or infinite are left to the direct kernel: in a transform they would reach every tile.
    """
    finite = layer.structure is not None and not layer.structure.non_finite
    if gain is None or layer.decision != "dense" or layer.kind != "conv" or not finite:
        return layer
    found = gain(layer.spec)
    if found is None:
        return layer
    m, speedup = found
    reason = f"{layer.reason}; computed by Winograd's F({m}x{m}, 3x3)"
    return replace(layer, tile=m, predicted=speedup, reason=reason)
