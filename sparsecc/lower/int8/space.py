"""Which configs of the convolutions of codes there are."""

from __future__ import annotations

from collections.abc import Iterator

from sparsecc.kernels.int8.frame import frame_of
from sparsecc.kernels.int8.shape import OVERREAD, QuantLanes, QuantPixels, QuantShape
from sparsecc.target import Target

#: bytes of scratch memory for which bands of rows are chosen
_ROOMS = (24 * 1024, 96 * 1024)
#: registers beside sums: weights, pixels, what stores need
_SPARE = 4
#: registers for pixels beside weights, where channels are the vector
_PIXELS = 2


def space_of(shape: QuantShape, target: Target) -> Iterator[QuantLanes | QuantPixels]:
    """All for rows of blocks of one size."""
    sums = target.registers - _SPARE
    flat = shape.flat
    for band in sorted({_band(flat, room) for room in _ROOMS}):
        yield from _lanes(flat, sums, band)
        yield from _pixels(flat, sums, band)
    if _fits_registers(shape):
        for reg_n in (4, 2, 1):
            if shape.block_n % reg_n == 0:
                yield QuantPixels(reg_n, 4, 0, shape.block_n)
                return


def _lanes(shape: QuantShape, sums: int, band: int) -> Iterator[QuantLanes]:
    lanes, spec = shape.instructions.lanes, shape.spec
    for vectors in (1, 2, 4):
        if shape.block_n % (vectors * lanes):
            continue
        most = min(sums, sums + _SPARE - vectors - _PIXELS) // vectors
        if spec.ow > most:
            tiles = -(-spec.ow // most)
            yield QuantLanes(vectors, 1, -(-spec.ow // tiles), band, shape.block_n)
        else:
            rows = min(spec.oh, most // spec.ow)
            rows = next((r for r in range(rows, 0, -1) if spec.oh % r == 0 and 2 * r > rows), rows)
            yield QuantLanes(vectors, rows, spec.ow, min(spec.oh, -(-band // rows) * rows), shape.block_n)


def _pixels(shape: QuantShape, sums: int, band: int) -> Iterator[QuantPixels]:
    lanes = shape.instructions.lanes
    for reg_n in (8, 4, 2, 1):
        if shape.block_n % reg_n or reg_n > sums // 2:
            continue
        band = _whole(shape, band)
        most = -(-frame_of(shape.spec, out=band).flat // lanes)
        for vectors in sorted({min(most, v) for v in (3, 4, 6) if reg_n * v <= sums} or {1}):
            yield QuantPixels(reg_n, vectors, band, shape.block_n)
        if reg_n <= 4:
            return


def _band(shape: QuantShape, room: int) -> int:
    """Output rows of which a row of blocks has room for the pixels; all where they are put side by side once."""
    spec = shape.spec
    if shape.dense:
        return spec.oh
    fits = [n for n in range(1, spec.oh + 1) if 4 * shape.most * frame_of(spec, out=n).size <= room]
    most = max(fits, default=1)
    # rows that neighbouring bands share are put side by side twice
    return min(spec.oh, max(most, 4 if spec.kh > 1 else 1))


def _whole(shape: QuantShape, band: int) -> int:
    """A band that divides the image, not much smaller."""
    return next((n for n in range(band, 0, -1) if shape.spec.oh % n == 0), 1)


def _fits_registers(shape: QuantShape) -> bool:
    by = shape.instructions
    enough = shape.spec.ih * shape.spec.iw >= by.lanes and shape.source.tail >= OVERREAD
    return by.name == "vpdpbusd" and by.lanes == 16 and shape.is_flat and not shape.dense and enough
