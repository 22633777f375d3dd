"""Winograd's algorithm for layers of few input channels, strided or not: tiles of phases of the image.

A convolution of stride 2 is a sum over four phases of its image, rows and columns with an even or odd number: each is
a convolution of stride 1 with a quarter of the taps. All phases are evaluated at the same points, so their products
are added before they are transformed back; one whose kernel is a tap shorter has nothing at infinity.

A 7x7 kernel of stride 2 is 4x4, 4x3, 3x4 and 3x3 taps: a tile of 4x4 outputs takes 49 points of the first phase, 42,
42 and 36 of the others, 169 products where the sums have 784.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.operator import Operator
from sparsecc.ir.winograd import PAIRS, TAPS, Float64, kernel_matrix

#: side of an output tile
TILE = 4
#: tiles side by side that are transformed together: their pixels are 16 consecutive ones
ACROSS = 4
#: most input channels: a vector of tiles' points, of all of them, are to stay in the first cache
MOST_CHANNELS = 3
_STRIDES = (1, 2)


class Part(NamedTuple):
    """What is summed at a point: an input channel, and the phase of its rows and columns."""

    row: int
    col: int
    channel: int


@dataclass(frozen=True)
class PhaseTiling:
    """How a convolution is computed.

    Attributes
    ----------
    spec : ConvSpec
        See :func:`suits_at_once`.
    """

    spec: ConvSpec

    @property
    def stride(self) -> int:
        """Both ways; the number of phases each way."""
        return self.spec.stride[0]

    @property
    def taps(self) -> int:
        """Of the longest phase, each way."""
        return -(-self.spec.kh // self.stride)

    @property
    def side(self) -> int:
        """Points each way."""
        return TILE + self.taps - 1

    def is_full(self, phase: int) -> bool:
        """Whether a phase has as many taps as the longest: the others have nothing at the last point."""
        return -(-(self.spec.kh - phase) // self.stride) == self.taps

    def parts(self, row: int, col: int) -> tuple[Part, ...]:
        """What is summed at a point ``(row, col)``; those that are there at the last point come first."""
        last = self.side - 1
        rows = sorted(range(self.stride), key=self.is_full, reverse=True)
        return tuple(
            Part(a, b, channel)
            for a in rows
            for b in range(self.stride)
            for channel in range(self.spec.ic)
            if (row != last or self.is_full(a)) and (col != last or self.is_full(b))
        )

    @cached_property
    def order(self) -> tuple[tuple[int, int, Part], ...]:
        """Row and column of every point and what is summed there, as the kernel walks them: column, part, row."""
        side = range(self.side)
        return tuple(
            (row, col, part)
            for col in side
            for part in self.parts(0, col)
            for row in side
            if part in self.parts(row, col)
        )


@dataclass(frozen=True)
class WinogradConv(Operator):
    """Operator: a convolution with few input channels, all steps of the algorithm in one kernel."""

    tiling: PhaseTiling
    layer: ConvLayer
    epilogue: Epilogue

    kernel: ClassVar = "winograd_conv"
    reads_rows: ClassVar = True
    writes_rows: ClassVar = True

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return f"winograd convolution, {self.epilogue}"

    @property
    def weights(self) -> tuple[NDArray[np.float32], ...]:
        """See :class:`Operator`."""
        return (self.layer.weight,)


def suits_at_once(spec: ConvSpec) -> bool:
    """Whether the kernel computes this convolution: square, few channels, an image of a block of tiles at least."""
    square = spec.kh == spec.kw and spec.stride[0] == spec.stride[1] and spec.stride[0] in _STRIDES
    if not square or spec.kh < TAPS or spec.dilation != (1, 1) or spec.groups != 1 or spec.ic > MOST_CHANNELS:
        return False
    tall, wide = (-(-pixels // TILE) >= ACROSS for pixels in (spec.oh, spec.ow))
    return tall and wide and PhaseTiling(spec).side in PAIRS


def is_at_once(spec: ConvSpec, tile: int | None) -> bool:
    """Whether this kernel is what computes a dense layer that has tiles of a side."""
    return tile == TILE and suits_at_once(spec)


def packed_weight(tiling: PhaseTiling, weight: NDArray[np.float32], *, reg_n: int) -> NDArray[np.float32]:
    """Weights ``(oc, ic, kh, kw)`` at all points, in the order of the kernel: ``[oc / reg_n][order][reg_n]``."""
    stride, taps, oc = tiling.stride, tiling.taps, len(weight)
    matrix = kernel_matrix(TILE, taps)
    by_phase: dict[tuple[int, int], Float64] = {}
    for a in range(stride):
        for b in range(stride):
            phase = weight[:, :, a::stride, b::stride].astype(np.float64)
            rows, cols = (matrix[:, :size] for size in phase.shape[2:])
            by_phase[a, b] = np.einsum("ia,ocab,jb->ijoc", rows, phase, cols)
    packed = np.array([by_phase[part.row, part.col][row, col, :, part.channel] for row, col, part in tiling.order])
    return np.ascontiguousarray(packed.reshape(-1, oc // reg_n, reg_n).swapaxes(0, 1), np.float32).reshape(-1)
