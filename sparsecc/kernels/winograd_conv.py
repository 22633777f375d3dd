"""A convolution of few input channels by Winograd's algorithm: transforms and products in one kernel.

A layer of three input channels has few products a point (7x7, stride 2: twelve) and many points: as three kernels it
would move 49 floats for every 16 pixels. Here a block of tiles is transformed into the first cache, and for some output
channels at a time products are summed in registers and transformed back before the next ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.winograd import input_matrix, output_matrix
from sparsecc.ir.winograd_conv import ACROSS, TILE, PhaseTiling
from sparsecc.kernels.deal_bits import dealt
from sparsecc.kernels.function import floats, kernel
from sparsecc.kernels.repack import fill
from sparsecc.kernels.row_store import fill_gap, store_pixels
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.surround import clear_surround
from sparsecc.kernels.winograd import from_points, store, to_points, vector

#: pixels of a block's row
_WIDTH = TILE * ACROSS


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
        return -(-self.spec.oh // self.height), -(-self.spec.ow // _WIDTH)

    @property
    def last(self) -> tuple[int, int]:
        """First row and column of the last block: tiles as the others', so that what is computed twice is the same."""
        return _up(self.spec.oh) - self.height, _up(self.spec.ow) - _WIDTH

    @property
    def patch(self) -> tuple[int, int]:
        """Rows and columns of input that a block sees."""
        beyond = self.tiling.taps - 1
        return self.tiling.stride * (self.height + beyond), self.tiling.stride * (_WIDTH + beyond)

    @property
    def step(self) -> int:
        """Pixels of the input from a tile to the next."""
        return self.tiling.stride * TILE

    @property
    def reach(self) -> int:
        """Floats of a row of points: as many as are picked apart."""
        return self.step * (ACROSS + 1)


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
            y, x = T.bind(T.min(row * shape.height, shape.last[0])), T.bind(T.min(col * _WIDTH, shape.last[1]))
            _transform(shape, buffers["input"], points, image, y, x)
            with T.serial(0, spec.oc // shape.reg_n) as some:
                _channels(shape, buffers, points, image, some, y, x)

    return kernel([(name, floats(size)) for name, size in parameters.items()], body)


# --- input ---------------------------------------------------------------------------------------------------------


def _transform(shape: WinogradConvShape, source: Any, points: Any, image: Any, y: Any, x: Any) -> None:
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
    tiling, lanes, spec = shape.tiling, shape.lanes, shape.spec
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
        made += dealt(vectors, held, wanted[: needed - shift])
    return made


def _starts(count: int, lanes: int) -> list[int]:
    """First float of vectors that cover ``count``; the last one overlaps the one before."""
    return [min(start, count - lanes) for start in range(0, count, lanes)]


# --- products and output -------------------------------------------------------------------------------------------


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
    tiling, lanes, reg_n, to, spec = shape.tiling, shape.lanes, shape.reg_n, shape.store, shape.spec
    matrix = output_matrix(TILE, tiling.taps)
    plane = T.bind(image * to.channels + channel)
    bias = T.bind(tirx.Broadcast(buffers["bias"][channel], lanes))
    held = [[TILE * tile + pixel for tile in range(lanes)] for pixel in range(TILE)]
    wanted = [range(first, first + lanes) for first in range(0, TILE * lanes, lanes)]
    with T.serial(0, TILE) as k:
        pixels = T.alloc_buffer((TILE * lanes,), "float32", scope="global")
        values = [T.bind(vector(columns, ((j * TILE + k) * reg_n + n) * lanes, lanes)) for j in range(tiling.side)]
        made = [value + bias for value in from_points(matrix, values)]
        for i, value in enumerate(dealt(made, held, wanted)):
            store(pixels, value, i * lanes, lanes)
        for g in range(shape.down):
            _store_row(shape, buffers, lambda i, g=g: pixels[g * _WIDTH + i], plane, y + g * TILE + k, x)
    with T.If(tirx.all(y == shape.last[0], x == shape.last[1])), T.Then():
        clear_surround(to, buffers["output"], plane)


def _store_row(shape: WinogradConvShape, buffers: dict[str, Any], value: Any, plane: Any, row: Any, x: Any) -> None:
    """One row of pixels of a block: those that lie in the image."""
    to, spec = shape.store, shape.spec
    beyond = _up(spec.ow) - spec.ow

    def pixels(count: int) -> None:
        store_pixels(to, buffers, value, plane=plane, pixel=row * to.layout.pitch + x, count=count)

    with T.If(row < spec.oh), T.Then():
        if not beyond:
            pixels(_WIDTH)
        else:
            with T.If(x == shape.last[1]):
                with T.Then():
                    pixels(_WIDTH - beyond)
                with T.Else():
                    pixels(_WIDTH)
        if to.masked:
            with T.If(x == shape.last[1]), T.Then():
                fill_gap(to, buffers, plane=plane, pixel=row * to.layout.pitch + spec.ow)


def _up(pixels: int) -> int:
    return -(-pixels // TILE) * TILE
