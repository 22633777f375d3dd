"""What the kernels that turn one plane into one plane depend on, and their arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.config import Config
from sparsecc.kernels.repack import RepackShape
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.window_combine import Combine

#: windows of more taps are loops over runs of pixels: code size
UNROLLED_TAPS = 49
#: windows of more taps are unrolled a row of the kernel at a time: code size, too
WHOLE_TAPS = 25


@dataclass(frozen=True)
class WindowShape:
    """Everything that the kernel's loops and addresses depend on.

    Attributes
    ----------
    spec : ConvSpec
        ``groups == ic``; ``oc`` is a multiple of ``ic``.
    source : PlaneLayout
        Of the input; its halo covers the padding, or it is the phase layout of ``spec``.
    store : StoreShape
        Where results go.
    combine : Combine
    scratch : RepackShape or None
        How every plane is copied into scratch memory before it is read; then ``source`` is any unsplit layout.
    in_place : bool
        Results take the place of the input, see :mod:`sparsecc.kernels.window_place`.
    dtype : str
        Of pixels and weights.
    """

    spec: ConvSpec
    source: PlaneLayout
    store: StoreShape
    combine: Combine
    scratch: RepackShape | None = None
    in_place: bool = False
    dtype: str = "float32"

    @property
    def summed(self) -> str:
        """The type of what values of a window become: sums of half precision are float32."""
        return "float32" if self.combine.widens else self.dtype


@dataclass(frozen=True)
class WindowConfig(Config):
    """Knobs of the window kernel.

    Attributes
    ----------
    lanes, vectors : int
        Pixels in a vector, vectors side by side in a tile.
    rows : int
        Rows of output pixels in a tile, whose windows share what they load. 0: a tile is a run of pixels that goes on
        in the next row, and taps are a loop; for windows too large to unroll.
    """

    lanes: int
    vectors: int
    rows: int

    name: ClassVar = "window"

    @property
    def tile(self) -> int:
        """Pixels of a row in a tile."""
        return self.lanes * self.vectors


@dataclass(frozen=True)
class Plane:
    """Where one plane is read: the buffer, its layout, and the float at which the image's channel starts."""

    buffer: Any
    layout: PlaneLayout
    origin: Any
