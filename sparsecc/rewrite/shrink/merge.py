"""Known channels that are read though they are the same for every input: as few as carry what all of them do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Ints = NDArray[np.int64]
Float64 = NDArray[np.float64]

#: of the largest value: what is left of an image that others add up to
_ROUNDING = 2e-6


def merged(weight: Array, bias: Array, channels: Ints, images: Array, *, shifts: bool) -> tuple[Array, Array]:
    """Weights and bias that read fewer known channels and compute the same.

    Zero padding makes the border of a constant image differ from its middle, after a depthwise convolution in at most
    nine ways (its pixels see 1, 2 or all rows of taps, and so many columns). Images that differ in so few ways are sums
    of at most so many of them, and a convolution is linear: ``w x`` for ``x = sum(c[s] x[s]) + d`` adds ``w c[s]`` to
    the weights of ``s``, and ``w d`` to the bias where no filter sees padding (``shifts``).

    Parameters
    ----------
    weight, bias : numpy.ndarray
        ``(oc, ic, kh, kw)`` and ``(oc,)``.
    channels : numpy.ndarray
        Those whose images are known.
    images : numpy.ndarray
        One row of pixels for each.
    """
    distinct, counts = np.unique(images.astype(np.float64), axis=1, return_counts=True)
    middle = distinct[:, np.argmax(counts)] if shifts else np.zeros(len(distinct))
    borders = distinct - middle[:, None]
    stays = _basis(borders, limit=_ROUNDING * float(np.abs(distinct).max()))
    if len(stays) == len(channels):
        return weight, bias
    goes = np.setdiff1d(np.arange(len(channels)), stays)
    shares = np.linalg.lstsq(borders[stays].T, borders[goes].T, rcond=None)[0]
    made, lost = weight.copy(), weight[:, channels[goes]].astype(np.float64)
    made[:, channels[stays]] += np.einsum("ogab,sg->osab", lost, shares).astype(np.float32)
    made[:, channels[goes]] = 0
    offsets = middle[goes] - middle[stays] @ shares
    return made, (bias + lost.sum(axis=(2, 3)) @ offsets).astype(np.float32)


def _basis(rows: Float64, *, limit: float) -> Ints:
    """Rows of which all others are sums: each time the one of which most is left."""
    left, chosen = rows.copy(), []
    for _ in range(min(rows.shape)):
        norms = np.abs(left).max(axis=1)
        best = int(norms.argmax())
        if norms[best] <= limit:
            break
        chosen.append(best)
        direction = left[best] / np.linalg.norm(left[best])
        left -= np.outer(left @ direction, direction)
    return np.array(sorted(chosen), np.int64)
