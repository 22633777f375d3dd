"""Last step of a Winograd convolution: products back to pixels, and the layer's epilogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.winograd import Tiling, output_matrix
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.function import floats, kernel
from sparsecc.kernels.store import StoreShape, finish
from sparsecc.kernels.surround import clear_surround
from sparsecc.kernels.winograd import from_points, store, vector, widest


@dataclass(frozen=True)
class WinogradOutputShape:
    """Everything that the kernel's loops and addresses depend on.

    Attributes
    ----------
    tiling : Tiling
    source : PlaneLayout
        Of the products ``(1, products * oc, 1, n * tiles)``.
    store : StoreShape
        Where results go; output and residual may have different pitches.
    lanes : int
        Floats in a vector.
    band : int
        Rows of tiles that are transformed at a time.
    """

    tiling: Tiling
    source: PlaneLayout
    store: StoreShape
    lanes: int
    band: int

    @property
    def bands(self) -> int:
        """Pieces of a plane; the last one may repeat rows of the one before."""
        return -(-self.tiling.rows // self.band)

    @property
    def row_floats(self) -> int:
        """Pixels of every ``m``-th row of a band."""
        return self.band * self.tiling.cols * self.tiling.m


def winograd_output(shape: WinogradOutputShape) -> PrimFunc:
    """Build the kernel: ``input``, ``bias`` (oc,), ``residual`` if there is one, ``output``.

    Loops::

        parallel image, channel, band of rows of tiles:
            for vector of tiles t of the band:
                pixels[0:m][m * t + 0 ... m * t + m - 1] = At @ input[0:m+2][0:m+2][t] @ A
            for row of the band that lies in the image:
                output[row] = epilogue(pixels[row % m][row / m] + bias)
                output[row] gap = 0                                      # where a reader needs it
    """
    tiling, source, to = shape.tiling, shape.source, shape.store
    spec = tiling.spec
    parameters = {
        "input": source.size(tiling.products * spec.oc),
        "bias": spec.oc,
        **({} if to.residual is None else {"residual": to.residual.size(spec.n * spec.oc)}),
        "output": to.layout.size(spec.n * spec.oc),
    }

    def body(buffers: dict[str, Any]) -> None:
        x, y = buffers["input"], buffers["output"]
        tasks = spec.n * spec.oc * shape.bands
        with T.parallel(0, tasks) as task, T.sblock("band"):
            at = T.axis.spatial(tasks, task)
            T.reads()
            T.writes(y[0 : y.ty.shape[0]])
            pixels = T.alloc_buffer((tiling.m * shape.row_floats,), "float32", scope="global")
            plane = at // shape.bands
            first = T.min(at % shape.bands * shape.band, tiling.rows - shape.band)
            image, channel = plane // spec.oc, plane % spec.oc
            base = source.lead + channel * source.channel + image * tiling.tiles + first * tiling.cols
            _transform(shape, x, pixels, base)
            _store_rows(shape, pixels, buffers["bias"][channel], buffers.get("residual"), y, plane, first * tiling.m)
            with T.If(at % shape.bands == shape.bands - 1), T.Then():
                clear_surround(to, y, plane)

    return kernel([(name, floats(size)) for name, size in parameters.items()], body)


def _transform(shape: WinogradOutputShape, x: Any, pixels: Any, base: Any) -> None:
    tiling, matrix = shape.tiling, output_matrix(shape.tiling.m)
    side, tiles = tiling.side, shape.band * tiling.cols
    lanes = widest(tiles, lanes=shape.lanes)
    plane = shape.source.first(tiling.spec.oc)
    with T.serial(0, -(-tiles // lanes)) as chunk:
        tile = T.bind(T.min(chunk * lanes, tiles - lanes))
        columns = []
        for j in range(side):
            values = [T.bind(vector(x, base + (i * side + j) * plane + tile, lanes)) for i in range(side)]
            columns.append([T.bind(value) for value in from_points(matrix, values)])
        for k in range(tiling.m):
            row = from_points(matrix, [column[k] for column in columns])
            _interleave(pixels, k * shape.row_floats + tile * tiling.m, row, lanes)


def _interleave(buffer: Any, start: Any, values: list[Any], lanes: int) -> None:
    """Store the vectors' first elements, then their second ones, and so on."""
    if lanes == 1:
        for i, value in enumerate(values):
            T.buffer_store(buffer, value, [start + i])
        return
    order = [tirx.const(i * lanes + lane, "int32") for lane in range(lanes) for i in range(len(values))]
    bound = [T.bind(value) for value in values]
    store(buffer, tirx.Shuffle(bound, order), start, lanes * len(values))


def _store_rows(
    shape: WinogradOutputShape, pixels: Any, bias: Any, residual: Any, y: Any, plane: Any, first: Any
) -> None:
    tiling, to = shape.tiling, shape.store
    m, layout = tiling.m, to.layout
    lanes = widest(layout.w, lanes=shape.lanes)
    with T.serial(0, T.min(shape.band * m, layout.h - first)) as r:
        row = T.bind(first + r)
        source = T.bind(r % m * shape.row_floats + r // m * (tiling.cols * m))
        target = T.bind(plane * layout.channel + layout.lead + row * layout.pitch)
        with T.serial(0, -(-layout.w // lanes)) as chunk:
            col = T.bind(T.min(chunk * lanes, layout.w - lanes))
            with T.vectorized(0, lanes) as lane:
                value = pixels[source + col + lane] + bias
                added = None
                if to.residual is not None:
                    from_row = plane * to.residual.channel + to.residual.lead + row * to.residual.pitch
                    added = residual[from_row + col + lane]
                T.buffer_store(y, finish(value, to, residual=added, mask=None), [target + col + lane])
        if to.masked:
            _zero_gap(y, target, layout, row)


def _zero_gap(y: Any, target: Any, layout: PlaneLayout, row: Any) -> None:
    """Zeros right of a row; those right of the last one belong to the zone below the plane."""
    with T.If(row < layout.h - 1), T.Then(), T.serial(0, layout.pitch - layout.w) as i:
        T.buffer_store(y, f32(0), [target + layout.w + i])
