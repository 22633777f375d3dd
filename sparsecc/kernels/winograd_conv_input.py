"""First half of a convolution of few input channels by Winograd's algorithm: a block's pixels at all points."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.ir.winograd import input_matrix
from sparsecc.ir.winograd_conv import ACROSS, TILE
from sparsecc.kernels.regroup import regrouped
from sparsecc.kernels.repack import fill
from sparsecc.kernels.winograd import store, to_points, vector
from sparsecc.kernels.winograd_conv_shape import WinogradConvShape


def transform_block(shape: WinogradConvShape, source: Any, points: Any, image: Any, y: Any, x: Any) -> None:
    """All points of a block."""
    tiling, spec = shape.tiling, shape.spec
    side = tiling.side
    patch = T.alloc_buffer((shape.patch[0] * shape.reach,), "float32", scope="global")
    rows = T.alloc_buffer((side * shape.down * shape.reach,), "float32", scope="global")
    with T.serial(0, spec.ic) as channel:
        _copy_patch(shape, source, patch, (image * spec.ic + channel) * shape.source.channel, y, x)
        for a in range(tiling.stride):
            _down(shape, patch, rows, a)
            last = side if tiling.is_full(a) else side - 1
            _across(shape, rows, points, channel, a, last)


def _copy_patch(shape: WinogradConvShape, source: Any, patch: Any, plane: Any, y: Any, x: Any) -> None:
    """The pixels that a block sees, with zeros around the image; rows are ``reach`` floats apart."""
    spec, (height, width), stride = shape.spec, shape.patch, shape.tiling.stride
    top, left, _, _ = spec.padding
    first = T.bind(x * stride - left)
    begin, end = T.bind(T.max(first, 0)), T.bind(T.min(first + width, spec.iw))
    with T.serial(0, height) as r:
        row = T.bind(y * stride - top + r)
        here, there = T.bind(r * shape.reach), T.bind(plane + shape.source.lead + row * shape.source.pitch)
        inside = tirx.all(row >= 0, row < spec.ih)
        with T.If(tirx.all(inside, first >= 0, first + width <= spec.iw)):
            with T.Then():
                for start in _starts(width, shape.lanes):
                    store(patch, vector(source, there + first + start, shape.lanes), here + start, shape.lanes)
            with T.Else():
                fill(patch, here, shape.reach, 0.0)
                with T.If(inside), T.Then(), T.serial(0, T.max(end - begin, 0)) as i:
                    T.buffer_store(patch, source[there + begin + i], [here + begin - first + i])


def _down(shape: WinogradConvShape, patch: Any, rows: Any, a: int) -> None:
    """Transform columns of pixels of a phase: ``rows[point][row of tiles][pixel]``."""
    tiling, lanes = shape.tiling, shape.lanes
    matrix = input_matrix(TILE, tiling.taps)
    for start in _starts(shape.patch[1], lanes):
        with T.serial(0, shape.down) as g:
            values = [
                T.bind(vector(patch, (g * shape.step + tiling.stride * i + a) * shape.reach + start, lanes))
                for i in range(tiling.side)
            ]
            for i, value in enumerate(to_points(matrix, values)):
                store(rows, value, (i * shape.down + g) * shape.reach + start, lanes)


def _across(shape: WinogradConvShape, rows: Any, points: Any, channel: Any, a: int, last: int) -> None:
    """Transform rows of pixels, a vector of tiles at a time."""
    tiling, lanes = shape.tiling, shape.lanes
    side, stride, order = tiling.side, tiling.stride, tiling.order
    matrix = input_matrix(TILE, tiling.taps)
    with T.serial(0, last) as i:
        picked = _picked(shape, rows, i * (shape.down * shape.reach))
        for b in range(stride):
            values = [picked[stride * j + b] for j in range(side)]
            for j, value in enumerate(to_points(matrix, values)):
                if j == side - 1 and not tiling.is_full(b):
                    continue
                # channels of a phase follow one another
                parts = [part for part in tiling.parts(0, j) if (part.row, part.col) == (a, b)]
                first = order.index((0, j, parts[0]))
                apart = order.index((0, j, parts[1])) - first if len(parts) > 1 else 0
                store(points, value, (first + i + channel * apart) * lanes, lanes)


def _picked(shape: WinogradConvShape, rows: Any, start: Any) -> list[Any]:
    """Pixel ``0, 1, ...`` of the first tile and of all others of a block, each a vector."""
    lanes, step, needed = shape.lanes, shape.step, shape.tiling.stride * shape.tiling.side
    count = shape.down * ACROSS * step
    held = [range(first, first + lanes) for first in range(0, count, lanes)]
    wanted = [[tile * step + pixel for tile in range(lanes)] for pixel in range(step)]
    made: list[Any] = []
    while len(made) < needed:
        shift = len(made)
        vectors = []
        for lane in held:
            g, pixel = divmod(lane[0], ACROSS * step)
            vectors.append(vector(rows, start + g * shape.reach + pixel + shift, lanes))
        made += regrouped(vectors, held, wanted[: needed - shift])
    return made


def _starts(count: int, lanes: int) -> list[int]:
    """First float of vectors that cover ``count``; the last one overlaps the one before."""
    return [min(start, count - lanes) for start in range(0, count, lanes)]
