"""Mean over the pixels of a plane: global average pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.function import elements, kernel
from sparsecc.kernels.half import narrowed, widened


@dataclass(frozen=True)
class MeanShape:
    """Images (n * c), where their pixels lie (unsplit), and their type."""

    planes: int
    source: PlaneLayout
    dtype: str = "float32"


def mean(shape: MeanShape, *, lanes: int) -> PrimFunc:
    """Build the kernel: ``input`` in its layout to ``output`` (planes,), both of one type; sums are float32.

    Loops::

        parallel plane:
            for row, chunk: vector lane: acc += input
            for row, rest of the row: total += input
            output = (total + sum of acc) / pixels
    """
    source = shape.source
    lanes = min(lanes, source.w)
    chunks, rest = divmod(source.w, lanes)

    def body(buffers: dict[str, Any]) -> None:
        x, y = buffers["input"], buffers["output"]
        with T.parallel(0, shape.planes) as plane, T.sblock("plane"):
            at = T.axis.spatial(shape.planes, plane)
            T.reads()
            T.writes(y[at])
            acc = T.alloc_buffer((lanes,), "float32", scope="global")
            total = T.alloc_buffer((1,), "float32", scope="global")
            base = source.lead + at * source.channel
            with T.vectorized(0, lanes) as lane:
                T.buffer_store(acc, tirx.const(0.0, "float32"), [lane])
            T.buffer_store(total, tirx.const(0.0, "float32"), [0])
            with T.serial(0, source.h) as row:
                with T.serial(0, chunks) as chunk, T.vectorized(0, lanes) as lane:
                    pixel = widened(x[base + row * source.pitch + chunk * lanes + lane])
                    T.buffer_store(acc, acc[lane] + pixel, [lane])
                if rest:
                    with T.serial(0, rest) as r:
                        pixel = widened(x[base + row * source.pitch + chunks * lanes + r])
                        T.buffer_store(total, total[0] + pixel, [0])
            with T.unroll(0, lanes) as lane:
                T.buffer_store(total, total[0] + acc[lane], [0])
            done = total[0] * tirx.const(1.0 / (source.h * source.w), "float32")
            T.buffer_store(y, narrowed(done, shape.dtype), [at])

    sizes = {"input": source.size(shape.planes), "output": shape.planes}
    return kernel([(name, elements(size, shape.dtype)) for name, size in sizes.items()], body)
