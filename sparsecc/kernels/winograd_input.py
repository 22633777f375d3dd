"""First step of a Winograd convolution: an image's overlapping tiles, transformed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.winograd import TAPS, Tiling, input_matrix
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.function import floats, kernel
from sparsecc.kernels.winograd import picked, store, store_first, to_points, vector, widest
from sparsecc.kernels.winograd_cut import Cut, Parts, cut, parts

#: pixels beyond the last slot that are loaded where its tile sees some
_BEYOND = 4


@dataclass(frozen=True)
class WinogradInputShape:
    """Everything that the kernel's loops and addresses depend on.

    Attributes
    ----------
    tiling : Tiling
    source : PlaneLayout
        Of the image; any but a phase layout, a halo is not read.
    target : PlaneLayout
        Of the transformed tiles ``(1, products * ic, 1, n * tiles)``.
    lanes : int
        Floats in a vector.
    listed : int
        Channels that are transformed, from a list; 0 for all, in order.
    """

    tiling: Tiling
    source: PlaneLayout
    target: PlaneLayout
    lanes: int
    listed: int = 0

    @property
    def cut(self) -> Cut:
        """Its vectors of tiles."""
        return cut(self.tiling, lanes=self.lanes)

    @property
    def groups(self) -> int:
        """Vectors of whole rows of tiles in an image."""
        return -(-self.tiling.rows // self.cut.rows)


def winograd_input(shape: WinogradInputShape) -> PrimFunc:
    """Build the kernel: ``input``, ``channels`` (listed,) int32 if there is a list, ``output``.

    Rows are transformed across first, as they lie in memory: every pixel once, though three tiles may see it. What
    comes out is dealt out to the tiles in registers. Where rows or columns of pixels lie outside of the image is known
    when the kernel is made: a vector of tiles at an edge has code of its own, all others share one loop::

        parallel channel, image:                           # tiles of all images lie side by side, on the same lines
            for vector of tiles:
                rows[0:m+2][m vectors] = Bt @ pixels[0:m+2][m vectors]
                for i in 0 ... m + 1:
                    output[i][0:m+2] = Bt @ every m-th of rows[i], from the first, second, ... m + 2-nd on
    """
    tiling, source, target = shape.tiling, shape.source, shape.target
    spec = tiling.spec

    def body(buffers: dict[str, Any]) -> None:
        x, y = buffers["input"], buffers["output"]
        channels = shape.listed or spec.ic
        with T.parallel(0, spec.n * channels) as task, T.sblock("plane"):
            at = T.axis.spatial(spec.n * channels, task)
            T.reads()
            T.writes(y[0 : y.ty.shape[0]])
            channel, image = at // spec.n, at % spec.n
            if shape.listed:
                channel = T.bind(buffers["channels"][channel])
            origin = T.bind(source.lead + (image * spec.ic + channel) * source.channel)
            base = target.lead + channel * target.channel + image * tiling.tiles
            transform_plane(_Plane(shape, x, y, origin, base, target.first(spec.ic)))

    listed = [("channels", ((shape.listed,), "int32"))] if shape.listed else []
    ends = source.size(spec.n * spec.ic), target.size(tiling.products * spec.ic)
    return kernel([("input", floats(ends[0])), *listed, ("output", floats(ends[1]))], body)


@dataclass(frozen=True)
class _Plane:
    """One image of one channel: its first pixel, where its first tile goes, floats from a product to the next."""

    shape: WinogradInputShape
    x: Any
    y: Any
    origin: Any
    base: Any
    product: int


def transform_plane(plane: _Plane) -> None:
    """All vectors of tiles of a plane."""
    rows = row_parts(plane.shape)
    for group in rows.before:
        _transform_row(plane, group)
    if rows.first < rows.end:
        with T.serial(rows.first, rows.end) as group:
            _transform_row(plane, group)
    for group in rows.after:
        _transform_row(plane, group)


def row_parts(shape: WinogradInputShape) -> Parts:
    """Groups of rows of tiles; those that see nothing but the image, and floats around it that exist, share a loop."""
    tiling, source, made = shape.tiling, shape.source, shape.cut
    m, spec, (top, left, _, _) = tiling.m, tiling.spec, tiling.spec.padding
    last_column = m * (tiling.cols - made.tiles) + m * made.slots + _BEYOND * made.beyond

    def shares(group: int) -> bool:
        first = group * made.rows * m - top
        last = first + (made.rows - 1) * m + m + TAPS - 2
        inside = first >= 0 and last < spec.ih and _has_room(shape, group, tiling.cols - made.tiles)
        begins = first * source.pitch - left >= -source.lead
        return inside and begins and last * source.pitch + last_column - left <= source.channel + source.tail

    return parts(shape.groups, shares)


def _transform_row(plane: _Plane, group: Any) -> None:
    """The vectors of one group of rows: code for parts of a row at its ends, a loop for those between."""
    shape, made = plane.shape, plane.shape.cut
    tiling = shape.tiling
    left, width = tiling.spec.padding[1], tiling.m * made.slots + _BEYOND * made.beyond

    def shares(chunk: int) -> bool:
        first = tiling.m * chunk * made.tiles - left
        inside = first >= 0 and first + width <= tiling.spec.iw
        return inside and (not isinstance(group, int) or _has_room(shape, group, chunk * made.tiles))

    columns = parts(made.chunks, shares)
    for chunk in columns.before:
        _transform(plane, group, min(chunk * made.tiles, tiling.cols - made.tiles))
    if columns.first < columns.end:
        with T.serial(columns.first, columns.end) as chunk:
            _transform(plane, group, chunk * made.tiles)
    for chunk in columns.after:
        _transform(plane, group, min(chunk * made.tiles, tiling.cols - made.tiles))


def _has_room(shape: WinogradInputShape, group: int, column: int) -> bool:
    """Whether a whole vector may be stored: what is to spare is then stored over by the next one."""
    made, tiling = shape.cut, shape.tiling
    return group * made.rows * tiling.cols + column + made.lanes <= tiling.tiles


def _transform(plane: _Plane, group: Any, column: Any) -> None:
    """One vector of tiles: rows of tiles from ``group * rows`` on, tiles from ``column`` on."""
    shape, made = plane.shape, plane.shape.cut
    tiling, matrix = shape.tiling, input_matrix(shape.tiling.m)
    m, side = tiling.m, tiling.side
    starts = [v * made.lanes for v in range(m)]
    runs = [(start, made.lanes) for start in starts] + ([(m * made.lanes, _BEYOND)] if made.beyond else [])
    rows = [
        [T.bind(value) for value in to_points(matrix, [_pixels(plane, group, column, i, *run) for i in range(side)])]
        for run in runs
    ]
    valid = made.tiles * (min(made.rows, tiling.rows - group * made.rows) if isinstance(group, int) else made.rows)
    is_known = isinstance(group, int) and isinstance(column, int)
    tile = T.bind(plane.base + group * (made.rows * tiling.cols) + column)
    for i in range(side):
        columns = _dealt(shape, [row[i] for row in rows], column)
        for j, value in enumerate(to_points(matrix, columns)):
            place = tile + (i * side + j) * plane.product
            if is_known and not _has_room(shape, group, column):
                store_first(plane.y, value, place, count=valid, lanes=made.lanes)
            else:
                store(plane.y, value, place, made.lanes)


def _pixels(plane: _Plane, group: Any, column: Any, row: int, start: int, lanes: int) -> Any:
    """``lanes`` floats from ``start`` on of those that a vector's tiles see in their ``row``-th row of pixels.

    Each row of tiles has ``m * slots`` of them. Left and right of the image they are anything.
    """
    made, m = plane.shape.cut, plane.shape.tiling.m
    whole = m * made.slots
    width = lanes if start >= m * made.lanes else math.gcd(whole, lanes)
    pieces = []
    for at in range(start, start + lanes, width):
        tile_row, offset = (at // whole, at % whole) if start < m * made.lanes else (0, whole)
        pieces.append(_piece(plane, group * made.rows + tile_row, row, column * m + offset, width))
    return T.bind(
        pieces[0] if len(pieces) == 1 else tirx.Shuffle(pieces, [tirx.const(i, "int32") for i in range(lanes)])
    )


def _piece(plane: _Plane, tile_row: Any, row: int, column: Any, width: int) -> Any:
    """``width`` floats of a row of pixels from padded column ``column`` on."""
    shape, spec, source = plane.shape, plane.shape.tiling.spec, plane.shape.source
    top, left, _, _ = spec.padding
    y = tile_row * shape.tiling.m + row - top
    zeros = T.Broadcast(f32(0), width) if width > 1 else f32(0)
    if isinstance(y, int) and not (0 <= y < spec.ih and tile_row < shape.tiling.rows):
        return zeros
    place = y * source.pitch + column - left
    if not isinstance(place, int):
        return T.bind(vector(plane.x, plane.origin + place, width))
    first, end = -source.lead, source.channel + source.tail
    if place + width <= first or place >= end:
        return zeros
    if end - first >= width:
        start = min(max(place, first), end - width)
        loaded = T.bind(vector(plane.x, plane.origin + start, width))
        return (
            loaded
            if start == place
            else picked([loaded], [min(max(i, 0), width - 1) for i in range(place - start, place - start + width)])
        )
    # a plane smaller than the vector: its first and its last floats
    count = widest(end - first, lanes=width)
    halves = [T.bind(vector(plane.x, plane.origin + start, count)) for start in (first, end - count)]
    room = end - first
    wanted = [min(max(i, 0), room - 1) for i in range(place - first, place - first + width)]
    # a shuffle has as many floats to pick from as it picks
    return picked(halves * (width // count), [i if i < count else i - room + 2 * count for i in wanted])


def _dealt(shape: WinogradInputShape, row: list[Any], column: Any) -> list[Any]:
    """A row's floats dealt out to the tiles of a vector: the first that each tile sees, the second, ...

    Zero where those lie outside of the image.
    """
    made, tiling = shape.cut, shape.tiling
    m, left, lanes = tiling.m, tiling.spec.padding[1], made.lanes
    tiles = [(lane // made.tiles, lane % made.tiles) for lane in range(lanes)]
    vectors, beyond = row[:m], row[m:]
    halves = None
    if m % 4 == 0:
        halves = [
            [T.bind(picked(vectors[v : v + 2], [2 * i + odd for i in range(lanes)])) for v in range(0, m, 2)]
            for odd in (0, 1)
        ]
    found: list[Any] = []
    for k in range(tiling.side):
        wanted = [m * (row_of_tiles % made.rows * made.slots + tile) + k for row_of_tiles, tile in tiles]
        # what no slot has is outside of the image
        wanted = [i if i < m * lanes else k for i in wanted]
        if beyond and k >= m:
            value = picked([found[k - m], *beyond], [*range(1, lanes), lanes + k - m])
        elif halves is not None:
            value = picked(halves[k % 2], [i // 2 for i in wanted])
        else:
            value = picked(vectors, wanted)
        found.append(T.bind(value))
    if not isinstance(column, int):
        return found
    zeros = T.Broadcast(f32(0), lanes)
    inside = [[left <= m * (column + tile) + k < left + tiling.spec.iw for _, tile in tiles] for k in range(len(found))]
    return [
        value if all(known) else T.bind(picked([value, zeros], [i if known[i] else lanes for i in range(lanes)]))
        for value, known in zip(found, inside, strict=True)
    ]
