"""A tile's pixels of many input channels, copied side by side.

In the input a tile takes a few cache lines of every plane, and most of each line belongs to other tiles. A copy has no
such gaps: more channels stay in the first cache, and every vector lies on one line. Rows of blocks read the copy::

    for channel of the run: copy[channel, :] = input[channel, tile]
    for row of blocks: ... acc += data * copy[channel of the kept block, vector]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.direct_shape import DirectShape
from sparsecc.kernels.taps import tap_offset
from sparsecc.kernels.tiles import Tiles, Vectors


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


def floats_of(tiles: Tiles) -> int:
    """Floats that the copy has of each channel: enough for whole tiles and the rest, whole vectors."""
    runs = ([*tiles.whole] if tiles.count else [], [*tiles.rest])
    return max(-(-(_end(run) - first_pixel(run)) // tiles.lanes) * tiles.lanes for run in runs if run)


def gather(
    shape: DirectShape, buffers: dict[str, Any], copy: Any, tiles: Tiles, *, image: Any, chunk: Any, tile: Any
) -> None:
    """Emit the copying of tile number ``tile``, of all input channels of run ``chunk``."""
    channels = image * shape.spec.ic + chunk * shape.run

    def emit(start: Any, runs: tuple[Vectors, ...]) -> None:
        with T.serial(0, shape.run) as channel:
            pixel = (channels + channel) * shape.source.channel + tap_offset(shape.spec, shape.source, 0, 0) + start
            place = channel * shape.gathered - first_pixel(runs)
            for run in runs:
                for offset in range(run.start, run.start + run.count * run.lanes, run.lanes):
                    with T.vectorized(0, run.lanes) as lane:
                        T.buffer_store(copy, buffers["input"][pixel + offset + lane], [place + offset + lane])

    whole_or_rest(
        tiles,
        tile,
        whole=lambda: emit(tile * tiles.pixels, tiles.whole),
        rest=lambda: emit(tiles.count * tiles.pixels, tiles.rest),
    )


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


def first_pixel(runs: Sequence[Vectors]) -> int:
    """The one that the copy of a tile begins with."""
    return min((0, *(run.start for run in runs)))


def _end(runs: Sequence[Vectors]) -> int:
    return max(run.start + run.count * run.lanes for run in runs)
