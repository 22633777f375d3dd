"""Norm of what lies side by side: vectors of the numbers that have one mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.norm_shape import NormShape, Planes, clear, lanes_of, total

Expr = Any
#: a sum's buffer -> what is added of each number's distance from the mean
Terms = Mapping[Any, Callable[[Expr], Expr]]

#: vectors side by side: independent sums, as many as hide the latency of one
_VECTORS = 4


def rows(shape: NormShape, x: Any, weight: Any, bias: Any, y: Any, *, lanes: int, parallel: bool) -> None:
    """Emit the kernel.

    Loops::

        parallel item:
            for its numbers: total[lanes] += input                      mean = sum of total / numbers
            for its numbers: d = input - mean; squares[lanes] += d * d; rest[lanes] += d
            mean += sum of rest / numbers; factor = 1 / sqrt(variance + eps)
            for plane, pixel: output = activation((input - mean) * factor * weight + bias)
    """
    with (T.parallel if parallel else T.serial)(0, shape.items) as turn, T.sblock("item"):
        item = T.axis.spatial(shape.items, turn)
        T.reads()
        T.writes(y[0 : y.ty.shape[0]])
        mean, squares, rest = moments(shape, x, item, shape.all_planes, lanes=lanes)
        factor = T.bind(shape.factor(squares, rest))
        if shape.centred:
            mean = T.bind(mean + rest * shape.all_planes.share)
        finish(shape, (x, weight, bias, y), item, shape.all_planes, mean, factor, lanes=lanes)


def moments(shape: NormShape, x: Any, item: Expr, planes: Planes, *, lanes: int) -> tuple[Expr, Expr, Expr]:
    """About the mean of some planes, and the sums of squares of the distances from it, and of these themselves."""
    walk = _Walk(shape, lanes, planes)
    squares, rest = walk.room(), walk.room()
    if not shape.centred:
        walk.add(x, item, {squares: lambda d: d * d}, f32(0.0))
        return f32(0.0), total(squares, walk.floats), f32(0.0)
    walk.add(x, item, {rest: lambda d: d}, f32(0.0))
    mean = T.bind(total(rest, walk.floats) * planes.share)
    walk.add(x, item, {squares: lambda d: d * d, rest: lambda d: d}, mean)
    return mean, total(squares, walk.floats), total(rest, walk.floats)


def finish(
    shape: NormShape,
    buffers: tuple[Any, Any, Any, Any],
    item: Expr,
    planes: Planes,
    mean: Expr,
    factor: Expr,
    *,
    lanes: int,
) -> None:
    """Write the results of some planes."""
    x, weight, bias, y = buffers
    own = shape.weights(item)

    def value(source: Expr, scale: Expr, shift: Expr) -> Expr:
        distance = x[source] - mean if shape.centred else x[source]
        return shape.finished(distance * factor * scale + shift)

    if shape.pixels == 1:
        source, target = shape.read(item, planes.first, 0), shape.written(item, planes.first, 0)

        def store(at: Expr, slot: Expr) -> None:
            plane = own + planes.first + at
            T.buffer_store(y, value(source + at, weight[plane], bias[plane]), [target + at])

        sweep(planes.count, lanes_of(shape.planes, lanes), 1, store)
        return
    width = lanes_of(shape.run, lanes)
    with T.serial(0, planes.count) as turn:
        plane = T.bind(planes.first + turn)
        scale, shift = T.bind(weight[own + plane]), T.bind(bias[own + plane])
        with T.serial(0, shape.runs) as row:
            source, target = T.bind(shape.read(item, plane, row)), T.bind(shape.written(item, plane, row))

            def store_pixel(at: Expr, slot: Expr) -> None:
                T.buffer_store(y, value(source + at, scale, shift), [target + at])

            sweep(shape.run, width, 1, store_pixel)


class _Walk:
    """The way over all numbers of some planes: as one run where nothing lies between them."""

    def __init__(self, shape: NormShape, lanes: int, planes: Planes) -> None:
        source = shape.source
        self._shape, self._first, self._count = shape, planes.first, planes.count
        rows, run = (1, shape.pixels) if source.pitch == source.w else (source.h, source.w)
        self._is_whole = rows == 1 and (source.channel == shape.pixels)
        self._rows, self._run = rows, planes.count * shape.pixels if self._is_whole else run
        most = shape.planes * shape.pixels if self._is_whole else run
        self.width = lanes_of(most, lanes)
        self.vectors = lanes_of(most // self.width, _VECTORS)
        self.floats = self.width * self.vectors

    def room(self) -> Any:
        """Sums."""
        return T.alloc_buffer((self.floats,), "float32", scope="global")

    def add(self, x: Any, item: Expr, terms: Terms, mean: Expr) -> None:
        """Sums of functions of the distance from ``mean``."""
        for buffer in terms:
            clear(buffer, self.floats)

        def add_run(start: Expr) -> None:
            def term(at: Expr, slot: Expr) -> None:
                distance = x[start + at] - mean
                for buffer, function in terms.items():
                    T.buffer_store(buffer, buffer[slot] + function(distance), [slot])

            sweep(self._run, self.width, self.vectors, term)

        if self._is_whole:
            add_run(T.bind(self._shape.read(item, self._first, 0)))
            return
        with T.serial(0, self._count) as plane, T.serial(0, self._rows) as row:
            add_run(T.bind(self._shape.read(item, self._first + plane, row)))


def sweep(length: Expr, width: int, vectors: int, body: Callable[[Expr, Expr], None]) -> None:
    """Emit ``body(number, its float in a tile)`` in vectors: tiles of several, whole vectors, narrower ones.

    A length that is an expression may leave single numbers over.
    """
    tile = width * vectors
    with T.serial(0, length // tile) as turn:
        _vectors(turn * tile, tile, width, body)
    if isinstance(length, int):
        _vectors(length // tile * tile, length % tile, width, body)
        return
    done = length // tile * tile
    with T.serial(0, length - done) as left:
        body(done + left, 0)


def _vectors(first: Expr, count: int, width: int, body: Callable[[Expr, Expr], None]) -> None:
    start = 0
    while start < count:
        lanes = lanes_of(count - start, width)
        with T.vectorized(0, lanes) as lane:
            body(first + start + lane, start + lane)
        start += lanes
