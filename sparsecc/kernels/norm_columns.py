"""Norm across planes: every pixel by itself, vectors of pixels."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.norm_shape import NormShape, clear, lanes_of

Expr = Any

#: floats of a tile, all planes of it, which stay in the first cache from one walk over the planes to the next
_TILE = 6144
#: independent sums, as many as hide the latency of one
_SUMS = 4


def columns(shape: NormShape, x: Any, weight: Any, bias: Any, y: Any, *, lanes: int, parallel: bool) -> None:
    """Emit the kernel.

    Loops::

        parallel item, row, tile of pixels:
            for plane: total[...] += input                              mean = sum of total / planes
            for plane: d = input - mean; squares[...] += d * d; rest[...] += d
            mean += rest / planes; factor = 1 / sqrt(variance + eps)
            for plane: output = activation((input - mean) * factor * weight + bias)
    """
    width = lanes_of(shape.run, lanes)
    vectors = max(1, min(_SUMS, shape.run // width, _TILE // (shape.planes * width)))
    tile = width * vectors
    tiles = -(-shape.run // tile)
    count = shape.items * shape.runs * tiles
    with (T.parallel if parallel else T.serial)(0, count) as turn, T.sblock("tile"):
        at = T.axis.spatial(count, turn)
        T.reads()
        T.writes(y[0 : y.ty.shape[0]])
        item, row = at // (shape.runs * tiles), at // tiles % shape.runs
        first = T.bind(T.min(at % tiles * tile, shape.run - tile))
        source, target = T.bind(shape.read(item, 0, row) + first), T.bind(shape.written(item, 0, row) + first)
        _Tile(shape, x, source, width, vectors).emit(y, target, weight, bias, shape.weights(item))


class _Tile:
    """Pixels side by side and the statistics of each."""

    def __init__(self, shape: NormShape, x: Any, source: Expr, width: int, vectors: int) -> None:
        self._shape, self._x, self._source = shape, x, source
        self._width, self._vectors = width, vectors
        self._floats, self._sums = width * vectors, max(1, min(_SUMS // vectors, shape.planes))
        self._mean, self._factor = self._room(1), self._room(1)

    def emit(self, y: Any, target: Expr, weight: Any, bias: Any, first: Expr) -> None:
        shape, one = self._shape, f32(1.0 / self._shape.planes)
        squares, rest = self._room(self._sums), self._room(self._sums)
        if shape.centred:
            self._add({rest: lambda value: value}, centred=False)
            self._each(self._mean, lambda lane: rest[lane] * one)
        self._add({squares: lambda d: d * d} | ({rest: lambda d: d} if shape.centred else {}), centred=shape.centred)
        self._each(self._factor, lambda lane: shape.factor(squares[lane], rest[lane]))
        if shape.centred:
            self._each(self._mean, lambda lane: self._mean[lane] + rest[lane] * one)
        with T.serial(0, shape.planes) as plane:
            scale, shift = T.bind(weight[first + plane]), T.bind(bias[first + plane])
            for v in range(self._vectors):
                with T.vectorized(0, self._width) as lane:
                    pixel = v * self._width + lane
                    value = self._distance(plane, pixel, centred=shape.centred) * self._factor[pixel]
                    done = shape.finished(value * scale + shift)
                    T.buffer_store(y, done, [target + plane * shape.target.channel + pixel])

    def _add(self, sums: dict[Any, Any], *, centred: bool) -> None:
        """Sums over all planes of functions of the distance from the mean; the first ``floats`` have them at last."""
        for buffer in sums:
            clear(buffer, self._sums * self._floats)
        rounds, left = divmod(self._shape.planes, self._sums)
        with T.serial(0, rounds) as turn:
            self._add_planes(sums, turn * self._sums, self._sums, centred=centred)
        self._add_planes(sums, rounds * self._sums, left, centred=centred)
        for buffer in sums:
            for other in range(1, self._sums):
                self._each(buffer, lambda lane, b=buffer, o=other: b[lane] + b[o * self._floats + lane])

    def _add_planes(self, sums: dict[Any, Any], first: Expr, count: int, *, centred: bool) -> None:
        for i in range(count):
            for v in range(self._vectors):
                with T.vectorized(0, self._width) as lane:
                    pixel = v * self._width + lane
                    place = i * self._floats + pixel
                    distance = self._distance(first + i, pixel, centred=centred)
                    for buffer, term in sums.items():
                        T.buffer_store(buffer, buffer[place] + term(distance), [place])

    def _distance(self, plane: Expr, pixel: Expr, *, centred: bool) -> Expr:
        value = self._x[self._source + plane * self._shape.source.channel + pixel]
        return value - self._mean[pixel] if centred else value

    def _each(self, buffer: Any, value: Any) -> None:
        for v in range(self._vectors):
            with T.vectorized(0, self._width) as lane:
                T.buffer_store(buffer, value(v * self._width + lane), [v * self._width + lane])

    def _room(self, times: int) -> Any:
        return T.alloc_buffer((times * self._floats,), "float32", scope="global")
