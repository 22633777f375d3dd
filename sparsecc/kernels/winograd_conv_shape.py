"""What a convolution of few input channels by Winograd's algorithm depends on, and how it cuts images into blocks."""

from __future__ import annotations

from dataclasses import dataclass

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.winograd_conv import ACROSS, TILE, PhaseTiling
from sparsecc.kernels.store import StoreShape

#: pixels of a block's row
WIDTH = TILE * ACROSS


@dataclass(frozen=True)
class WinogradConvShape:
    """Everything that the kernel's loops and addresses depend on.

    Attributes
    ----------
    tiling : PhaseTiling
    source : PlaneLayout
        Of the image; any but a phase layout, a halo is not read.
    store : StoreShape
        Where results go; output and residual may have different pitches.
    lanes : int
        Tiles in a vector: ``lanes / 4`` rows of four.
    reg_n : int
        Output channels whose products are in registers; divides their number.
    """

    tiling: PhaseTiling
    source: PlaneLayout
    store: StoreShape
    lanes: int
    reg_n: int

    @property
    def spec(self) -> ConvSpec:
        """The layer's."""
        return self.tiling.spec

    @property
    def down(self) -> int:
        """Rows of tiles in a block."""
        return self.lanes // ACROSS

    @property
    def height(self) -> int:
        """Rows of pixels in a block."""
        return TILE * self.down

    @property
    def blocks(self) -> tuple[int, int]:
        """Blocks that cover an image, each way; the last ones repeat pixels of those before."""
        return -(-self.spec.oh // self.height), -(-self.spec.ow // WIDTH)

    @property
    def last(self) -> tuple[int, int]:
        """First row and column of the last block: tiles as the others', so that what is computed twice is the same."""
        return up(self.spec.oh) - self.height, up(self.spec.ow) - WIDTH

    @property
    def patch(self) -> tuple[int, int]:
        """Rows and columns of input that a block sees."""
        beyond = self.tiling.taps - 1
        return self.tiling.stride * (self.height + beyond), self.tiling.stride * (WIDTH + beyond)

    @property
    def step(self) -> int:
        """Pixels of the input from a tile to the next."""
        return self.tiling.stride * TILE

    @property
    def reach(self) -> int:
        """Floats of a row of points: as many as are picked apart."""
        return self.step * (ACROSS + 1)


def up(pixels: int) -> int:
    """Pixels of as many tiles as cover them."""
    return -(-pixels // TILE) * TILE
