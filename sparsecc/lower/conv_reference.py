"""Slow and plain NumPy convolutions: the oracle that every kernel is tested against.

Inputs are float32, sums are float64 and rounded to float32 once, at the end. ``x`` is ``(n, ic, ih, iw)``, a result
``(n, oc, oh, ow)``, ``bias`` ``(oc,)`` or None.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.blocks import BlockSparse
from sparsecc.ir.conv import ConvSpec

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def conv2d(x: Float32, weight: Float32, bias: Float32 | None, spec: ConvSpec) -> Float32:
    """Convolve as ``torch.nn.functional.conv2d`` does, with padding on each side of its own.

    Parameters
    ----------
    x : numpy.ndarray
        float32 ``(n, ic, ih, iw)``.
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, kh, kw)``.
    bias : numpy.ndarray or None
        float32 ``(oc,)``.
    spec : ConvSpec
        The layer.

    Returns
    -------
    numpy.ndarray
        float32 ``(n, oc, oh, ow)``.
    """
    return _finish(sums(x, weight, spec), bias)


def sums(x: NDArray[Any], weight: NDArray[Any], spec: ConvSpec) -> Float64:
    """The same without bias, in float64: exact for integers whose sums are below 2**53."""
    padded = _padded(x, spec)
    taps = weight.astype(np.float64).reshape(spec.groups, spec.oc_per_group, spec.ic_per_group, spec.taps)
    y = np.zeros((spec.n, spec.groups, spec.oc_per_group, spec.oh * spec.ow))
    for tap in range(spec.taps):
        window = _window(padded, spec, tap).reshape(spec.n, spec.groups, spec.ic_per_group, -1)
        y += taps[:, :, :, tap] @ window
    return y.reshape(spec.n, spec.oc, spec.oh, spec.ow)


def sparse_conv2d(x: Float32, blocks: BlockSparse, bias: Float32 | None, spec: ConvSpec) -> Float32:
    """Convolve block by block, straight from the definition of BSR.

    Unlike :func:`conv2d` it never multiplies with a pruned weight, so Inf or NaN in an input channel reaches only the
    rows that keep a block of it.

    Parameters
    ----------
    x, bias, spec
        As for :func:`conv2d`.
    blocks : BlockSparse
        The kept weights.

    Returns
    -------
    numpy.ndarray
        float32 ``(n, oc, oh, ow)``.
    """
    padded = _padded(x, spec)
    y = np.zeros((spec.n, spec.oc, spec.oh, spec.ow))
    for row in range(blocks.rows):
        acc = np.zeros((spec.n, blocks.block_n, spec.oh, spec.ow))
        for block in range(blocks.indptr[row], blocks.indptr[row + 1]):
            for tap in range(spec.taps):
                pixels = _window(padded, spec, tap)[:, blocks.indices[block]]
                acc += blocks.data[block, :, tap].astype(np.float64)[:, None, None] * pixels[:, None]
        y[:, blocks.grouping[row]] = acc
    return _finish(y, bias)


def conv_transpose2d(
    x: Float32,
    weight: Float32,
    bias: Float32 | None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    output_padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Float32:
    """Convolve as ``torch.nn.functional.conv_transpose2d`` does: every input pixel adds its kernel to the output.

    Parameters
    ----------
    x : numpy.ndarray
        float32 ``(n, ic, ih, iw)``.
    weight : numpy.ndarray
        float32 ``(ic, oc / groups, kh, kw)``, PyTorch's order for transposed convolutions.
    bias : numpy.ndarray or None
        float32 ``(oc,)``.
    stride, dilation, output_padding : tuple of int
        ``(vertical, horizontal)``, as in PyTorch.
    padding : tuple of int
        ``(top, left, bottom, right)`` pixels cut off the result.
    groups : int
        As in PyTorch.

    Returns
    -------
    numpy.ndarray
        float32 ``(n, oc, oh, ow)`` with ``oh = (ih - 1) * stride + dilation * (kh - 1) + 1 + output_padding - top -
        bottom``, ``ow`` likewise.
    """
    n, ic, ih, iw = x.shape
    oc_per_group, kh, kw = weight.shape[1:]
    top, left, bottom, right = padding
    full_h = (ih - 1) * stride[0] + dilation[0] * (kh - 1) + 1 + output_padding[0]
    full_w = (iw - 1) * stride[1] + dilation[1] * (kw - 1) + 1 + output_padding[1]
    full = np.zeros((n, groups * oc_per_group, full_h, full_w))
    pixels = x.astype(np.float64).reshape(n, groups, ic // groups, ih * iw)
    kernels = weight.astype(np.float64).reshape(groups, ic // groups, oc_per_group, kh, kw)
    for i in range(kh):
        for j in range(kw):
            part = kernels[:, :, :, i, j].transpose(0, 2, 1) @ pixels
            target = full[:, :, i * dilation[0] :: stride[0], j * dilation[1] :: stride[1]]
            target[:, :, :ih, :iw] += part.reshape(n, groups * oc_per_group, ih, iw)
    return _finish(full[:, :, top : full_h - bottom, left : full_w - right], bias)


def _padded(x: NDArray[Any], spec: ConvSpec) -> Float64:
    top, left, bottom, right = spec.padding
    return np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))


def _window(padded: Float64, spec: ConvSpec, tap: int) -> Float64:
    """Input pixels that one tap meets, ``(n, ic, oh, ow)``: a view."""
    (down, across), (step_y, step_x) = spec.dilation, spec.stride
    y, x = tap // spec.kw * down, tap % spec.kw * across
    return padded[:, :, y : y + step_y * spec.oh : step_y, x : x + step_x * spec.ow : step_x]


def _finish(y: Float64, bias: Float32 | None) -> Float32:
    if bias is not None:
        y = y + bias.astype(np.float64)[:, None, None]
    with np.errstate(over="ignore"):  # beyond float32 is Inf, as in every float32 kernel
        return y.astype(np.float32)
