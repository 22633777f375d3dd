"""First step of a Winograd convolution: an image's overlapping tiles, transformed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.winograd import TAPS, Tiling, input_matrix
from sparsecc.kernels.function import floats, kernel
from sparsecc.kernels.repack import copy_row, fill
from sparsecc.kernels.winograd import store, to_points, vector, widest

#: narrowest vector of tiles
_LEAST_LANES = 4


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
    band : int
        Rows of tiles that are transformed at a time.
    """

    tiling: Tiling
    source: PlaneLayout
    target: PlaneLayout
    lanes: int
    band: int

    @property
    def bands(self) -> int:
        """Pieces of a plane; the last one may repeat rows of the one before."""
        return -(-self.tiling.rows // self.band)

    @property
    def rows(self) -> int:
        """Rows of pixels that a band of tiles sees."""
        return self.band * self.tiling.m + TAPS - 1

    @property
    def row_lanes(self) -> int:
        """Tiles of a row in a vector; it may reach into the next row of tiles."""
        cols = self.tiling.cols
        return next((width for width in (_LEAST_LANES, 8, 16) if cols <= width < self.lanes), self.lanes)

    @property
    def row_vectors(self) -> int:
        """Vectors of tiles a row."""
        return -(-self.tiling.cols // self.row_lanes)

    @property
    def row_pitch(self) -> int:
        """Floats from a padded row of pixels to the next."""
        return self.tiling.m * self.tiling.cols + TAPS - 1

    @property
    def row_floats(self) -> int:
        """Floats of all padded rows, and what vectors read beyond the last one."""
        beyond = self.tiling.m * (self.row_vectors * self.row_lanes + 1)
        return (self.rows - 1) * self.row_pitch + max(self.row_pitch, beyond)

    @property
    def plane_floats(self) -> int:
        """Floats of one phase of rows at one point, and what vectors write beyond the last row of tiles."""
        return self.band * self.tiling.cols + self.row_vectors * self.row_lanes


def winograd_input(shape: WinogradInputShape) -> PrimFunc:
    """Build the kernel.

    Rows are transformed before columns: then each row is picked apart once, though three tiles may see it, and the
    tiles of several rows lie one after another when their columns are transformed.

    Loops::

        parallel image, channel, band of rows of tiles:
            for row: padded[row] = 0.. pixels ..0
            for row = m * g + k, vector of tiles c:
                points[k][0:m+2][g * cols + c] = Bt @ padded[row][m * c + 0 ... m * c + m + 1]
            for j in 0 ... m + 1, vector of tiles t of the band:
                output[0:m+2][j][t] = Bt @ points[0:m][j][t], points[0:2][j][t + cols]
    """
    tiling, source, target = shape.tiling, shape.source, shape.target
    spec = tiling.spec

    def body(buffers: dict[str, Any]) -> None:
        x, y = buffers["input"], buffers["output"]
        tasks = spec.n * spec.ic * shape.bands
        with T.parallel(0, tasks) as task, T.sblock("band"):
            at = T.axis.spatial(tasks, task)
            T.reads()
            T.writes(y[0 : y.ty.shape[0]])
            padded = T.alloc_buffer((shape.row_floats,), "float32", scope="global")
            points = T.alloc_buffer((tiling.m * tiling.side * shape.plane_floats,), "float32", scope="global")
            plane = at // shape.bands
            first = T.min(at % shape.bands * shape.band, tiling.rows - shape.band)
            _pad_rows(shape, x, padded, source.lead + plane * source.channel, first * tiling.m)
            _transform_rows(shape, padded, points)
            image, channel = plane // spec.ic, plane % spec.ic
            base = target.lead + channel * target.channel + image * tiling.tiles + first * tiling.cols
            _transform_columns(shape, points, y, base)

    return kernel(
        [("input", floats(source.size(spec.n * spec.ic))), ("output", floats(target.size(tiling.products * spec.ic)))],
        body,
    )


def _pad_rows(shape: WinogradInputShape, x: Any, padded: Any, origin: Any, first: Any) -> None:
    """Copy the rows of pixels from output row ``first`` on, with zeros around the image."""
    spec, pitch = shape.tiling.spec, shape.row_pitch
    top, left, _, _ = spec.padding
    with T.serial(0, shape.rows) as row:
        y = T.bind(first + row - top)
        fill(padded, row * pitch, left, 0.0)
        with T.If(tirx.all(y >= 0, y < spec.ih)):
            with T.Then():
                copy_row(
                    x, padded, origin + y * shape.source.pitch, row * pitch + left, count=spec.iw, step=1,
                    lanes=shape.lanes,
                )  # fmt: skip
            with T.Else():
                fill(padded, row * pitch + left, spec.iw, 0.0)
        fill(padded, row * pitch + left + spec.iw, pitch - left - spec.iw, 0.0)
    end = shape.rows * pitch
    fill(padded, end, shape.row_floats - end, 0.0)


def _transform_rows(shape: WinogradInputShape, padded: Any, points: Any) -> None:
    tiling, lanes = shape.tiling, shape.row_lanes
    m, size = tiling.m, shape.plane_floats
    with T.serial(0, shape.rows) as row, T.serial(0, shape.row_vectors) as chunk:
        start = T.bind(row * shape.row_pitch + chunk * (lanes * m))
        pixels = [_every(padded, start + i // m * m, i % m, step=m, lanes=lanes) for i in range(tiling.side)]
        target = T.bind(row % m * (tiling.side * size) + row // m * tiling.cols + chunk * lanes)
        for j, value in enumerate(to_points(input_matrix(m), pixels)):
            store(points, value, target + j * size, lanes)


def _every(buffer: Any, start: Any, first: int, *, step: int, lanes: int) -> Any:
    """Elements ``first``, ``first + step``, ... of the floats from ``start`` on."""
    loaded = buffer[tirx.Ramp(start, 1, lanes * step)]
    return T.bind(tirx.Shuffle([loaded], [tirx.const(first + i * step, "int32") for i in range(lanes)]))


def _transform_columns(shape: WinogradInputShape, points: Any, y: Any, base: Any) -> None:
    tiling, size = shape.tiling, shape.plane_floats
    m, side, tiles = tiling.m, tiling.side, shape.band * tiling.cols
    lanes = widest(tiles, lanes=shape.lanes)
    plane = tiling.spec.ic * shape.target.channel
    with T.serial(0, side) as j, T.serial(0, -(-tiles // lanes)) as chunk:
        tile = T.bind(T.min(chunk * lanes, tiles - lanes))
        values = [
            T.bind(vector(points, (i % m * side + j) * size + i // m * tiling.cols + tile, lanes)) for i in range(side)
        ]
        for i, value in enumerate(to_points(input_matrix(m), values)):
            store(y, value, base + (i * side + j) * plane + tile, lanes)
