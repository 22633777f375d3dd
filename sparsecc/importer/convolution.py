"""Weights as the compiler wants them: NumPy, batch norm folded, transposed convolutions turned."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """Inference batch norm as ``y = x * scale + shift`` per channel, float64."""

    scale: NDArray[np.float64]
    shift: NDArray[np.float64]


def batch_norm(gamma: Array | None, beta: Array | None, mean: Array, variance: Array, *, eps: float) -> BatchNorm:
    """Turn running statistics into scale and shift; a missing gamma is 1, a missing beta 0."""
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + eps)
    if gamma is not None:
        scale = scale * gamma
    shift = -mean * scale
    if beta is not None:
        shift = shift + beta
    return BatchNorm(scale, shift)


def fold(weight: Array, bias: Array, norm: BatchNorm) -> tuple[Array, Array]:
    """Fold the norm after a layer into its weight ``(oc, ...)`` and bias ``(oc,)``. Zeros stay zeros."""
    scale = norm.scale.reshape((-1,) + (1,) * (weight.ndim - 1))
    return (weight * scale).astype(np.float32), (bias * norm.scale + norm.shift).astype(np.float32)


def scaled(scales: Array | None, norm: BatchNorm) -> Array | None:
    """Scales of the weights after that; None stays."""
    return None if scales is None else (scales * np.abs(norm.scale)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Transposed:
    """A transposed convolution as a convolution that computes ``sh * sw`` output pixels as channels.

    Attributes
    ----------
    spec : ConvSpec
        Of the convolution; its channels are ordered ``(oc, sh, sw)``.
    weight : numpy.ndarray
        ``(oc * sh * sw, ic / groups, kh', kw')``.
    scale : tuple of int
        ``(sh, sw)``: how the channels are dealt out into pixels.
    crop : tuple of int
        ``(top, left, height, width)`` of the result within the dealt-out image.
    """

    spec: ConvSpec
    weight: Array
    scale: tuple[int, int]
    crop: tuple[int, int, int, int]


def untranspose(
    weight: Array,
    *,
    n: int,
    ih: int,
    iw: int,
    stride: tuple[int, int],
    padding: tuple[int, int],
    output_padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Transposed:
    """Express a transposed convolution as a convolution and a rearrangement of its result.

    Output pixel ``y = q * s + p`` of phase ``p`` gets input pixel ``i`` times tap ``r`` where ``i * s + r * d = y``
    (before cropping ``padding``), so every phase is a convolution with the taps ``r * d`` that leave remainder ``p``.

    Parameters
    ----------
    weight : numpy.ndarray
        float32 ``(ic, oc / groups, kh, kw)``, PyTorch's order for transposed convolutions.
    """
    ic, ocg, kh, kw = weight.shape
    (sh, sw), (dh, dw) = stride, dilation
    reach_h, reach_w = ((kh - 1) * dh) // sh, ((kw - 1) * dw) // sw
    icg = ic // groups
    turned = np.zeros((groups, ocg, sh, sw, icg, reach_h + 1, reach_w + 1), np.float32)
    grouped = weight.reshape(groups, icg, ocg, kh, kw)
    for r in range(kh):
        for c in range(kw):
            tap = grouped[:, :, :, r, c].transpose(0, 2, 1)
            # input pixel q - (r * d) // s: the farther the tap, the earlier the pixel
            turned[:, :, r * dh % sh, c * dw % sw, :, reach_h - r * dh // sh, reach_w - c * dw // sw] += tap
    oh = (ih - 1) * sh - 2 * padding[0] + dh * (kh - 1) + output_padding[0] + 1
    ow = (iw - 1) * sw - 2 * padding[1] + dw * (kw - 1) + output_padding[1] + 1
    extra_h = max(0, -(-(oh + padding[0]) // sh) - ih)
    extra_w = max(0, -(-(ow + padding[1]) // sw) - iw)
    spec = ConvSpec(
        n=n,
        ic=ic,
        ih=ih,
        iw=iw,
        oc=groups * ocg * sh * sw,
        kh=reach_h + 1,
        kw=reach_w + 1,
        padding=(reach_h, reach_w, extra_h, extra_w),
        groups=groups,
    )
    return Transposed(spec, turned.reshape(spec.weight_shape), (sh, sw), (padding[0], padding[1], oh, ow))


def with_padding(spec: ConvSpec, extra: tuple[int, int, int, int]) -> ConvSpec:
    """The layer with more zeros around its input."""
    top, left, bottom, right = (a + b for a, b in zip(spec.padding, extra, strict=True))
    return replace(spec, padding=(top, left, bottom, right))


def used_taps(spec: ConvSpec, weight: Array) -> tuple[ConvSpec, Array]:
    """Leave out outer taps that read nothing but the zeros around the image, wherever the window stands.

    A 3x3 kernel dilated by 24 on 20x20 pixels, padded by 24, is its middle tap: a 1x1 kernel without padding. Taps stay
    where padding is too small to go with them.

    Parameters
    ----------
    spec : ConvSpec
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, kh, kw)``.
    """
    (top, left, bottom, right), (sh, sw), (dh, dw) = spec.padding, spec.stride, spec.dilation
    above, below = _idle_taps(spec.ih, spec.oh, spec.kh, sh, dh, (top, bottom))
    before, after = _idle_taps(spec.iw, spec.ow, spec.kw, sw, dw, (left, right))
    if not any((above, below, before, after)):
        return spec, weight
    padding = (top - above * dh, left - before * dw, bottom - below * dh, right - after * dw)
    kh, kw = spec.kh - above - below, spec.kw - before - after
    kept = weight[:, :, above : above + kh, before : before + kw]
    return replace(spec, kh=kh, kw=kw, padding=padding), kept


def _idle_taps(size: int, out: int, taps: int, stride: int, dilation: int, padding: tuple[int, int]) -> tuple[int, int]:
    """How many taps at either end of one axis read no pixel of ``size``; none where no tap at all reads one."""
    first, last = padding
    starts = np.arange(out) * stride - first
    used = [tap for tap in range(taps) if np.any((starts + tap * dilation >= 0) & (starts + tap * dilation < size))]
    if not used:
        return 0, 0
    return min(used[0], first // dilation), min(taps - 1 - used[-1], last // dilation)
