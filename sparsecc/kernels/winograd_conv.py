"""A convolution of few input channels by Winograd's algorithm: transforms and products in one kernel.

A layer of three input channels has few products a point (7x7, stride 2: twelve) and many points: as three kernels it
would move 49 floats for every 16 pixels. Here a block of tiles is transformed into the first cache, and for some output
channels at a time products are summed in registers and transformed back before the next ones.
"""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.winograd import output_matrix
from sparsecc.ir.winograd_conv import TILE
from sparsecc.kernels.function import floats, kernel
from sparsecc.kernels.regroup import regrouped
from sparsecc.kernels.row_store import fill_gap, store_pixels
from sparsecc.kernels.surround import clear_surround
from sparsecc.kernels.winograd import from_points, store, vector
from sparsecc.kernels.winograd_conv_input import transform_block
from sparsecc.kernels.winograd_conv_shape import WIDTH, WinogradConvShape, up


def winograd_conv(shape: WinogradConvShape) -> PrimFunc:
    """Build the kernel: ``input``, ``data`` as packed, ``bias`` (oc,), ``residual`` if there is one, ``output``.

    Loops::

        parallel image, block of tiles:
            for channel, phase of rows a:
                patch = 0.. pixels ..0
                for row of tiles g: rows[0:side][g] = Bt @ patch[stride * (4 * g + 0 ... side - 1) + a]
                for point's row i, phase of columns b:
                    points[0:side][channel, a, b][i] = Bt @ rows[i][every 4th pixel of the phase]
            for reg_n output channels:
                for point's column j:
                    acc[0:side][reg_n] = sum over channel, a, b of data * points[j][channel, a, b][0:side]
                    columns[j][0:4] = At @ acc
                for k in 0 ... 3: output = epilogue(At @ columns[0:side][k] + bias)
    """
    spec, to = shape.spec, shape.store
    parameters = {
        "input": shape.source.size(spec.n * spec.ic),
        "data": len(shape.tiling.order) * spec.oc,
        "bias": spec.oc,
        **({} if to.residual is None else {"residual": to.residual.size(spec.n * spec.oc)}),
        "output": to.layout.size(spec.n * spec.oc),
    }

    def body(buffers: dict[str, Any]) -> None:
        down, across = shape.blocks
        tasks = spec.n * down * across
        with T.parallel(0, tasks) as task, T.sblock("block"):
            at = T.axis.spatial(tasks, task)
            T.reads()
            T.writes(buffers["output"][0 : buffers["output"].ty.shape[0]])
            points = T.alloc_buffer((len(shape.tiling.order) * shape.lanes,), "float32", scope="global")
            image, row, col = at // (down * across), at // across % down, at % across
            y, x = T.bind(T.min(row * shape.height, shape.last[0])), T.bind(T.min(col * WIDTH, shape.last[1]))
            transform_block(shape, buffers["input"], points, image, y, x)
            with T.serial(0, spec.oc // shape.reg_n) as some:
                _channels(shape, buffers, points, image, some, y, x)

    return kernel([(name, floats(size)) for name, size in parameters.items()], body)


def _channels(
    shape: WinogradConvShape, buffers: dict[str, Any], points: Any, image: Any, some: Any, y: Any, x: Any
) -> None:
    """Some output channels of a block."""
    tiling, lanes, reg_n = shape.tiling, shape.lanes, shape.reg_n
    side = tiling.side
    columns = T.alloc_buffer((side * TILE * reg_n * lanes,), "float32", scope="global")
    weights = T.bind(some * (len(tiling.order) * reg_n))
    starts = [next(i for i, (_, col, _) in enumerate(tiling.order) if col == j) for j in range(side)]
    with T.serial(0, side - 1) as j:
        _column(shape, buffers["data"], points, columns, j, weights, j * starts[1], 0)
    _column(shape, buffers["data"], points, columns, side - 1, weights, starts[-1], side - 1)
    for n in range(reg_n):
        _store(shape, buffers, columns, n, image, some * reg_n + n, y, x)


def _column(
    shape: WinogradConvShape, data: Any, points: Any, columns: Any, j: Any, weights: Any, start: Any, like: int
) -> None:
    """Products of a column of points, transformed back: ``columns[j][0:4][reg_n]``; it is like column ``like``."""
    tiling, lanes, reg_n = shape.tiling, shape.lanes, shape.reg_n
    acc = T.alloc_buffer((tiling.side, reg_n, lanes), "float32", scope="global")
    whole = tirx.Ramp(0, 1, lanes)
    walk = [(row, part) for row, col, part in tiling.order if col == like]
    begun: set[int] = set()
    for place, (row, _) in enumerate(walk):
        x = T.bind(vector(points, (start + place) * lanes, lanes))
        for n in range(reg_n):
            product = tirx.Broadcast(data[weights + (start + place) * reg_n + n], lanes) * x
            T.buffer_store(acc, acc[row, n, whole] + product if row in begun else product, [row, n, whole])
        begun.add(row)
    matrix = output_matrix(TILE, tiling.taps)
    for n in range(reg_n):
        values = [T.bind(acc[row, n, whole]) for row in range(tiling.side)]
        for k, value in enumerate(from_points(matrix, values)):
            store(columns, value, ((j * TILE + k) * reg_n + n) * lanes, lanes)


def _store(
    shape: WinogradConvShape, buffers: dict[str, Any], columns: Any, n: int, image: Any, channel: Any, y: Any, x: Any
) -> None:
    """Pixels of one channel of a block."""
    tiling, lanes, reg_n, to = shape.tiling, shape.lanes, shape.reg_n, shape.store
    matrix = output_matrix(TILE, tiling.taps)
    plane = T.bind(image * to.channels + channel)
    bias = T.bind(tirx.Broadcast(buffers["bias"][channel], lanes))
    held = [[TILE * tile + pixel for tile in range(lanes)] for pixel in range(TILE)]
    wanted = [range(first, first + lanes) for first in range(0, TILE * lanes, lanes)]
    with T.serial(0, TILE) as k:
        pixels = T.alloc_buffer((TILE * lanes,), "float32", scope="global")
        values = [T.bind(vector(columns, ((j * TILE + k) * reg_n + n) * lanes, lanes)) for j in range(tiling.side)]
        made = [value + bias for value in from_points(matrix, values)]
        for i, value in enumerate(regrouped(made, held, wanted)):
            store(pixels, value, i * lanes, lanes)
        for g in range(shape.down):
            _store_row(shape, buffers, lambda i, g=g: pixels[g * WIDTH + i], plane, y + g * TILE + k, x)
    with T.If(tirx.all(y == shape.last[0], x == shape.last[1])), T.Then():
        clear_surround(to, buffers["output"], plane)


def _store_row(shape: WinogradConvShape, buffers: dict[str, Any], value: Any, plane: Any, row: Any, x: Any) -> None:
    """One row of pixels of a block: those that lie in the image."""
    to, spec = shape.store, shape.spec
    beyond = up(spec.ow) - spec.ow

    def pixels(count: int) -> None:
        beside = None if to.residual is None else row * to.residual.pitch + x
        pixel = row * to.layout.pitch + x
        store_pixels(to, buffers, value, plane=plane, pixel=pixel, count=count, beside=beside)

    with T.If(row < spec.oh), T.Then():
        if not beyond:
            pixels(WIDTH)
        else:
            with T.If(x == shape.last[1]):
                with T.Then():
                    pixels(WIDTH - beyond)
                with T.Else():
                    pixels(WIDTH)
        if to.masked:
            with T.If(x == shape.last[1]), T.Then():
                fill_gap(to, buffers, plane=plane, pixel=row * to.layout.pitch + spec.ow)
