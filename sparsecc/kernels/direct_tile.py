"""A tile of the direct kernel: where it lies, where its results go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.tiles import Tiles, Vectors
from sparsecc.kernels.walk import Walk


@dataclass(frozen=True)
class At:
    """The iteration that a tile belongs to: image, row of blocks, part of its channels, run of inputs, first pixel."""

    image: Any
    row: Any
    sub: Any
    chunk: Any = 0
    start: Any = 0


@dataclass(frozen=True)
class Sink:
    """Where results go: a buffer, how its planes lie, and the number of the plane of each channel ``n`` at a tile.

    ``surrounds``: the zeros around a plane are stored with its last tile.
    """

    buffer: Any
    store: StoreShape
    plane: Callable[[At, Any], Any]
    surrounds: bool = False

    def place(self, at: At, channel: Any, pixel: Any) -> Any:
        """Float of a pixel of a channel in registers."""
        return self.store.layout.first(self.plane(at, channel)) + self.store.layout.lead + pixel


@dataclass(frozen=True)
class Gathered:
    """The copy of one tile.

    Attributes
    ----------
    buffer : buffer
        A run of input channels, ``DirectShape.gathered`` floats each.
    first : int
        Pixel of the tile that is the first in the copy: negative where the tile's last vector begins before it.
    """

    buffer: Any
    first: int

    def pixel(self, channel: Any, place: Any) -> Any:
        """Pixel ``place`` of the tile, of the channel that begins at float ``channel``."""
        return self.buffer[channel + place - self.first]

    def pixel_by_pointer(self, channel: Any, place: Any) -> Any:
        """The same, by 64-bit sums: see :func:`by_pointer`."""
        return self.buffer[by_pointer(channel) + by_pointer(place - self.first)]


@dataclass(frozen=True)
class Tile:
    """What the code of a tile is made from; ``part`` is the number of the sum, where there are several."""

    shape: DirectShape
    config: DirectConfig
    buffers: dict[str, Any]
    at: At
    sink: Sink
    walk: Walk
    gathered: Gathered | None = None
    part: Any = 0

    @property
    def blocks(self) -> Any:
        """Kept blocks of the sum."""
        return self.shape.summed if self.shape.sums > 1 else self.walk.count

    def block(self, j: Any) -> Any:
        """Number in the row of the sum's ``j``-th kept block."""
        return self.part * self.shape.summed + j if self.shape.sums > 1 else j

    @property
    def slot(self) -> Any:
        """Place of the first channel in registers among those of all rows."""
        return self.at.row * self.shape.block_n + self.at.sub * self.config.reg_n


def by_pointer(value: Any) -> Any:
    """A part of an index with 64 bits: what does not change in a loop is added to the pointer before it.

    Of sums with 32 bits LLVM adds each anew and extends it; on AArch64 a step of a loop takes four instructions more.
    """
    return T.cast(value, "int64")


def whole_or_rest(tiles: Tiles, tile: Any, *, whole: Callable[[], None], rest: Callable[[], None]) -> None:
    """Emit what a whole tile needs, and what the rest does, where there are both."""
    if not tiles.rest:
        whole()
    elif not tiles.count:
        rest()
    else:
        with T.If(tile < tiles.count):
            with T.Then():
                whole()
            with T.Else():
                rest()


def extents(config: DirectConfig, vectors: Vectors) -> tuple[int, int, int]:
    """Loops over a tile's run: the last one is the vector."""
    return (1, vectors.count, config.reg_n) if vectors.by_channel else (config.reg_n, vectors.count, vectors.lanes)


def accumulators(config: DirectConfig, vectors: Vectors, dtype: str = "float32") -> Any:
    """A buffer of sums for a tile's run of vectors."""
    return T.alloc_buffer(extents(config, vectors), dtype, scope="global")


def channel_and_pixel(vectors: Vectors, n: Any, v: Any, lane: Any) -> tuple[Any, Any]:
    """Channel in registers and pixel of a tile that those loops stand for."""
    return (lane, vectors.start + v) if vectors.by_channel else (n, vectors.start + v * vectors.lanes + lane)


def each_sum(tile: Tile, runs: Sequence[Vectors]) -> Iterator[tuple[int, tuple[Any, Any, Any], Any, Any]]:
    """Inside of a loop over the lanes of each vector: number of its run, its place there, its channel and pixel."""
    for i, run in enumerate(runs):
        rows, vectors, lanes = extents(tile.config, run)
        for n in range(rows):
            for v in range(vectors):
                with T.vectorized(0, lanes) as lane:
                    yield i, (n, v, lane), *channel_and_pixel(run, n, v, lane)


def first_weight(tile: Tile, reduction: tuple[Any, Any, Any]) -> Any:
    """Where the weights of one kept block's tap lie, of all channels in registers."""
    shape, reg_n, (j, a, b) = tile.shape, tile.config.reg_n, reduction
    subs, walk, tap = shape.block_n // reg_n, tile.walk, a * shape.kernel[1] + b
    if not shape.together:
        return ((walk.first * subs + tile.at.sub * walk.count + j) * shape.taps + tap) * reg_n
    groups, each = shape.block_n // shape.together, shape.together // reg_n
    group, within = (0, tile.at.sub) if groups == 1 else (tile.at.sub // each, tile.at.sub % each)
    return ((walk.first * groups + group * walk.count + j) * shape.taps + tap) * shape.together + within * reg_n


def prefetch(buffer: Any, where: Any) -> None:
    """Ask for a cache line to read; there need not be one."""
    read, keep, data = 0, 3, 1
    T.evaluate(T.call_intrin("void", "tirx.prefetch", T.address_of(buffer[where]), read, keep, data))
