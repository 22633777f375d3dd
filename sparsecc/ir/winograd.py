"""Winograd's algorithm for 3x3 convolutions: how an image is cut into tiles, and the matrices that transform them.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015 (arXiv 1509.09308): a tile of ``m x m``
outputs is ``At [(G g Gt) * (Bt d B)] A``, with ``d`` the ``(m + 2) x (m + 2)`` pixels that it sees, ``g`` the 3x3
kernel and ``*`` elementwise. It multiplies ``(m + 2)**2`` times where the sum of products does ``9 m**2`` times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.operator import Operator

Float64 = NDArray[np.float64]

#: taps of the kernels that the algorithm is used for, each way
TAPS = 3
#: points each way -> those at which polynomials are evaluated besides infinity, each with its negative; and at zero, if
#: their number is even. Of all pairs tried for six points, 256 channels of normal numbers: (sqrt(1/2), sqrt(2)) is
#: within 2.1e-6 of the largest result, (3/4, 3/2) 2.3e-6, (1/2, 2) 5.2e-6, Lavin and Gray's (1, 2) 7.9e-6. For seven,
#: of 100 triples, a ResNet's first layer: (5/16, 7/8, 7/4) is within 9.6e-7, 6.6e-7 root mean square, (1/3, 7/8, 3/2)
#: 1.2e-6 and 8.1e-7; with 12 channels the best with zero and five others is 1.7 times as far off as the latter
PAIRS: dict[int, tuple[float, ...]] = {
    4: (1.0,),
    5: (math.sqrt(0.5), math.sqrt(2.0)),
    6: (math.sqrt(0.5), math.sqrt(2.0)),
    7: (5 / 16, 7 / 8, 7 / 4),
}
#: side of an output tile of 3x3 kernels -> their points
POINTS: dict[int, tuple[float, ...]] = {m: PAIRS[m + TAPS - 1] for m in (2, 4)}
#: most input channels whose products are one sum in a dense layer. The rounding of 512 terms in one sum is most of the
#: algorithm's error (1.7e-6 of the results, root mean square; transforms 3e-7): 6.6e-7 in sums of 32, 7.8e-7 by the
#: direct kernel
SUMMED = 32
#: decimals of the matrices: what is a whole number shows as one
_DECIMALS = 14


@dataclass(frozen=True)
class Tiling:
    """A convolution's output cut into tiles of ``m x m`` pixels; those at the right and bottom may reach beyond it.

    Attributes
    ----------
    spec : ConvSpec
        3x3, stride 1, one group.
    m : int
        Side of an output tile: a key of :data:`POINTS`.
    """

    spec: ConvSpec
    m: int

    @property
    def side(self) -> int:
        """Side of the tile of input pixels that an output tile sees."""
        return self.m + TAPS - 1

    @property
    def products(self) -> int:
        """Independent products of channels: elements of a transformed tile."""
        return self.side * self.side

    @property
    def rows(self) -> int:
        """Rows of tiles in an image."""
        return -(-self.spec.oh // self.m)

    @property
    def cols(self) -> int:
        """Tiles in a row."""
        return -(-self.spec.ow // self.m)

    @property
    def tiles(self) -> int:
        """Tiles of an image."""
        return self.rows * self.cols

    @property
    def product_spec(self) -> ConvSpec:
        """All products as one convolution: a group each, a pixel a tile, the images of a batch side by side."""
        spec, count = self.spec, self.products
        return ConvSpec(n=1, ic=count * spec.ic, ih=1, iw=spec.n * self.tiles, oc=count * spec.oc, groups=count)

    def product_rows(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Output channels of the products' rows of blocks: those of the layer, ``(rows, block_n)``, once a product.

        A pruned block drops all taps of its kernels, and ``G 0 Gt`` is zero: every product keeps the same blocks.
        """
        first = np.arange(self.products, dtype=np.int32) * np.int32(self.spec.oc)
        return (first[:, None, None] + rows).reshape(-1, rows.shape[1])


@dataclass(frozen=True)
class WinogradInput(Operator):
    """Operator: an image ``(n, ic, ih, iw)`` to its transformed tiles ``(1, products * ic, 1, n * tiles)``.

    Attributes
    ----------
    tiling : Tiling
    read : tuple of int or None
        Channels that somebody reads, ascending; the tiles of all others are anything. None for all.
    """

    tiling: Tiling
    read: tuple[int, ...] | None = None

    kernel: ClassVar = "winograd_in"
    reads_rows: ClassVar = True
    writes_rows: ClassVar = True

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return "winograd input"

    @property
    def runs(self) -> tuple[int, int]:
        """See :class:`Operator`: a run is a product's."""
        return 0, self.tiling.spec.ic


@dataclass(frozen=True)
class WinogradOutput(Operator):
    """Operator: transformed tiles ``(1, products * oc, 1, n * tiles)`` to the layer's result ``(n, oc, oh, ow)``."""

    tiling: Tiling
    layer: ConvLayer
    epilogue: Epilogue

    kernel: ClassVar = "winograd_out"
    reads_rows: ClassVar = True
    writes_rows: ClassVar = True

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return f"winograd output, {self.epilogue}"

    @property
    def runs(self) -> tuple[int, int]:
        """See :class:`Operator`: a run is a product's."""
        return self.tiling.spec.oc, 0


def suits(spec: ConvSpec) -> bool:
    """Whether the algorithm computes this convolution: dense 3x3, stride 1; one input channel is left alone."""
    is_square = (spec.kh, spec.kw) == (TAPS, TAPS) and spec.stride == (1, 1) and spec.dilation == (1, 1)
    return is_square and spec.groups == 1 and spec.ic > 1


def transformed_weight(weight: NDArray[np.float32], m: int) -> NDArray[np.float32]:
    """Weights ``(oc, ic, 3, 3)`` as those of the products: ``(products * oc, ic, 1, 1)``, rounded once."""
    kernels = kernel_matrix(m)
    points: Float64 = np.einsum("ia,ocab,jb->ijoc", kernels, weight.astype(np.float64), kernels)
    return points.astype(np.float32).reshape(-1, weight.shape[1], 1, 1)


def summed_channels(ic: int) -> int:
    """Input channels of each of the sums that make up a dense product: a divisor; 0 for all in one."""
    count = next(count for count in range(1, ic + 1) if ic % count == 0 and ic // count <= SUMMED)
    return ic // count if count > 1 and ic // count >= SUMMED // 2 else 0


def _points(side: int) -> list[float]:
    zero = [] if side % 2 else [0.0]
    return [*zero, *(sign * point for point in PAIRS[side] for sign in (1.0, -1.0))]


@cache
def input_matrix(m: int, taps: int = TAPS) -> Float64:
    """``Bt``, square, of ``m + taps - 1`` points: row ``j`` is the polynomial that is zero at all but the ``j``-th."""
    points = _points(m + taps - 1)
    rows = [np.append(np.poly([p for p in points if p != point])[::-1], 0.0) for point in points]
    return np.array([*rows, np.poly(points)[::-1]]).round(_DECIMALS)


@cache
def kernel_matrix(m: int, taps: int = TAPS) -> Float64:
    """``G``, ``(points, taps)``: a kernel row's polynomial at all points."""
    points = _points(m + taps - 1)
    scale = [np.prod([point - p for p in points if p != point]) for point in points]
    rows = [[point**k / s for k in range(taps)] for point, s in zip(points, scale, strict=True)]
    return np.array([*rows, [0.0] * (taps - 1) + [1.0]])


@cache
def output_matrix(m: int, taps: int = TAPS) -> Float64:
    """``At``, ``(m, points)``: powers of the points; infinity adds to the last row alone."""
    rows = [[point**k for point in _points(m + taps - 1)] + [float(k == m - 1)] for k in range(m)]
    return np.array(rows).round(_DECIMALS)
