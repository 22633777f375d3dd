"""A tile's pixels of many input channels, copied side by side.

In the input a tile takes a few cache lines of every plane, and most of each line belongs to other tiles. A copy has no
such gaps: more channels stay in the first cache, and every vector lies on one line. Rows of blocks read the copy::

    for channel of the run: copy[channel, :] = input[channel, tile]
    for row of blocks: ... acc += data * copy[channel of the kept block, vector]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.direct_shape import DirectShape
from sparsecc.kernels.direct_tile import whole_or_rest
from sparsecc.kernels.taps import tap_offset
from sparsecc.kernels.tiles import Tiles, Vectors


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


def first_pixel(runs: Sequence[Vectors]) -> int:
    """The one that the copy of a tile begins with."""
    return min((0, *(run.start for run in runs)))


def _end(runs: Sequence[Vectors]) -> int:
    return max(run.start + run.count * run.lanes for run in runs)
