"""Store rows of pixels of one plane: epilogue, then the gap to the next row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.half import widened
from sparsecc.kernels.repack import fill
from sparsecc.kernels.store import StoreShape, finish
from sparsecc.kernels.tiles import cut


def store_pixels(
    store: StoreShape,
    buffers: dict[str, Any],
    value: Callable[[Any], Any],
    *,
    plane: Any,
    pixel: Any,
    count: int,
    beside: Any = None,
) -> None:
    """Finish ``count`` pixels of a row and store them from float ``pixel`` of a plane on; ``value`` gives the i-th.

    ``beside`` is the float of a residual's plane where its pixels begin, if its rows lie otherwise.
    """
    lanes = next(width for width in (16, 8, 4, 2, 1) if width <= count)
    vectors = _vectors(count, lanes)
    # all loads before all stores: the pixels may move within one plane, and vectors may overlap
    loaded = [T.alloc_buffer((width,), "float32", scope="global") for _, width in vectors]
    for (first, width), row in zip(vectors, loaded, strict=True):
        with T.vectorized(0, width) as lane:
            T.buffer_store(row, widened(value(first + lane)), [lane])
    for (first, width), row in zip(vectors, loaded, strict=True):
        with T.vectorized(0, width) as lane:
            residual = None
            if store.residual is not None:
                place = plane * store.residual.channel + store.residual.lead
                place = place + (pixel if beside is None else beside) + first + lane
                residual = buffers["residual"][place]
            where = store.layout.first(plane) + store.layout.lead + pixel + first + lane
            done = finish(row[lane], store, residual=residual, mask=None)
            T.buffer_store(buffers["output"], done, [where])


def fill_gap(store: StoreShape, buffers: dict[str, Any], *, plane: Any, pixel: Any) -> None:
    """Fill the gap after a row that ends before float ``pixel`` of a plane."""
    layout = store.layout
    fill(buffers["output"], plane * layout.channel + layout.lead + pixel, layout.pitch - layout.w, store.gap)


def _vectors(count: int, lanes: int) -> list[tuple[int, int]]:
    """First pixel and width of vectors that cover ``count`` pixels; the last may overlap the one before."""
    tiles = cut(count, lanes=lanes, vectors=1)
    whole = [(i * lanes, lanes) for i in range(tiles.count)]
    return whole + [
        (tiles.count * lanes + run.start + i * run.lanes, run.lanes) for run in tiles.rest for i in range(run.count)
    ]
