"""Linear layers and convolutions on one pixel: with nothing to vectorize over but output channels, N is the vector."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.ir.epilogue import Epilogue
from sparsecc.kernels import activation
from sparsecc.kernels.config import Config
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.function import kernel
from sparsecc.kernels.half import narrowed, widened
from sparsecc.kernels.walk import row_range


@dataclass(frozen=True)
class LinearShape:
    """Everything that the kernel's loops and addresses depend on, none of the weights.

    Attributes
    ----------
    m, ic, oc : int
        Rows of the input, features in and out.
    rows, block_n, nnzb : int
        Rows of blocks, output features in each, kept blocks.
    uniform : int or None
        Kept blocks of every row when they are equal.
    dense : bool
        Every block is kept, in order; the last row of blocks overlaps the one before when ``block_n`` does not
        divide ``oc``.
    scattered : bool
        Output features of a row are looked up in a table.
    epilogue : Epilogue
    dtype : str
        Of what is read and written; sums and the bias are float32.
    """

    m: int
    ic: int
    oc: int
    rows: int
    block_n: int
    nnzb: int
    uniform: int | None
    dense: bool
    scattered: bool
    epilogue: Epilogue
    dtype: str = "float32"


@dataclass(frozen=True)
class LinearConfig(Config):
    """Knobs.

    Attributes
    ----------
    lanes : int
        Output features in a vector; divides ``block_n``.
    reg_m : int
        Input rows in registers.
    chains : int
        Partial sums of every result, each of every so many kept blocks: multiply-adds need not wait for one another.
    """

    lanes: int
    reg_m: int
    chains: int = 1

    name: ClassVar = "linear"


def argument_names(shape: LinearShape) -> tuple[str, ...]:
    """The kernel's parameters in order."""
    return tuple(
        name
        for name, present in (
            ("input", True),
            ("data", True),
            ("indices", not shape.dense),
            ("indptr", shape.uniform is None),
            ("bias", True),
            ("channels", shape.scattered),
            ("residual", shape.epilogue.residual != "none"),
            ("output", True),
        )
        if present
    )


def linear(shape: LinearShape, config: LinearConfig) -> PrimFunc:
    """Build the unscheduled kernel.

    ``data`` (nnzb, block_n) float32, ``indices`` (nnzb,) int32 input features, ``bias`` and ``channels``
    (rows * block_n,) in row order, ``input`` (m, ic) and ``output`` (m, oc) float32; where ``shape.dtype`` is another
    type, all but ``bias`` have that.

    Loops::

        parallel for row of blocks: for tile of input rows:
            for kept blocks, chains of them at a time: acc[chains, reg_m, block_n] += data * input
            for kept blocks that are left: acc[0] += data * input
            output = epilogue(sum of acc over chains)
    """
    return kernel(
        [(name, _buffer(name, shape)) for name in argument_names(shape)], lambda buffers: _body(shape, config, buffers)
    )


def _buffer(name: str, shape: LinearShape) -> tuple[tuple[int], str]:
    sizes = {
        "input": shape.m * shape.ic,
        "data": max(1, shape.nnzb * shape.block_n),
        "indices": max(1, shape.nnzb),
        "indptr": shape.rows + 1,
        "bias": shape.rows * shape.block_n,
        "channels": shape.rows * shape.block_n,
        "residual": shape.m * shape.oc,
        "output": shape.m * shape.oc,
    }
    if name in ("indices", "indptr", "channels"):
        return (sizes[name],), "int32"
    return (sizes[name],), "float32" if name == "bias" else shape.dtype


def _body(shape: LinearShape, config: LinearConfig, buffers: dict[str, Any]) -> None:
    output, vectors = buffers["output"], shape.block_n // config.lanes
    tiles = -(-shape.m // config.reg_m)
    with T.parallel(0, shape.rows) as i, T.serial(0, tiles) as j, T.sblock("tile"):
        row, tile = T.axis.remap("SS", [i, j])
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        acc = T.alloc_buffer((config.chains, config.reg_m, vectors, config.lanes), "float32", scope="global")
        top = T.min(tile * config.reg_m, shape.m - config.reg_m)
        first, count = row_range(shape.uniform, buffers, row)
        _accumulate(shape, config, buffers, acc, (row, top, first, count))
        with T.grid(config.reg_m, vectors, config.lanes) as (m, v, lane), T.sblock("store"):
            vm, vv, vl = T.axis.remap("SSS", [m, v, lane])
            channel = _channel(shape, buffers, row, vv * config.lanes + vl)
            where = (top + vm) * shape.oc + channel
            T.reads()
            T.writes(output[where])
            total = acc[0, vm, vv, vl]
            for chain in range(1, config.chains):
                total = total + acc[chain, vm, vv, vl]
            T.buffer_store(output, _finish(shape, buffers, total, where), [where])


def _accumulate(
    shape: LinearShape, config: LinearConfig, buffers: dict[str, Any], acc: Any, at: tuple[Any, Any, Any, Any]
) -> None:
    """Products of a row's kept blocks; ``at`` is the row, its first input row, its first kept block and their count."""
    row, top, first, count = at
    vectors, chains = shape.block_n // config.lanes, config.chains

    def term(block: Any, m: Any, v: Any, lane: Any) -> Any:
        feature = block - first if shape.dense else buffers["indices"][block]
        weight = buffers["data"][block * shape.block_n + v * config.lanes + lane]
        return widened(weight) * widened(buffers["input"][(top + m) * shape.ic + feature])

    whole = T.floordiv(count, chains)
    with T.serial(0, whole) as j, T.grid(chains, config.reg_m, vectors, config.lanes) as loops, T.sblock("update"):
        vj = T.axis.reduce(whole, j)
        vc, vm, vv, vl = T.axis.remap("SSSS", list(loops))
        T.reads()
        T.writes(acc[vc, vm, vv, vl])
        with T.init():
            bias = buffers["bias"][row * shape.block_n + vv * config.lanes + vl]
            T.buffer_store(acc, tirx.Select(vc == 0, bias, f32(0)), [vc, vm, vv, vl])
        T.buffer_store(acc, acc[vc, vm, vv, vl] + term(first + vj * chains + vc, vm, vv, vl), [vc, vm, vv, vl])
    if chains == 1:
        return
    with T.serial(0, count - whole * chains) as j:  # made as scheduled: the primitives want one block to write acc
        for m, v in product(range(config.reg_m), range(vectors)):
            with T.vectorized(0, config.lanes) as lane:
                value = acc[0, m, v, lane] + term(first + whole * chains + j, m, v, lane)
                T.buffer_store(acc, value, [0, m, v, lane])


def _channel(shape: LinearShape, buffers: dict[str, Any], row: Any, slot: Any) -> Any:
    if shape.scattered:
        return buffers["channels"][row * shape.block_n + slot]
    return T.min(row * shape.block_n, shape.oc - shape.block_n) + slot


def _finish(shape: LinearShape, buffers: dict[str, Any], value: Any, where: Any) -> Any:
    if shape.epilogue.residual == "before":
        value = value + widened(buffers["residual"][where])
    value = activation.apply(shape.epilogue.activation, value)
    if shape.epilogue.residual == "after":
        value = value + widened(buffers["residual"][where])
    return narrowed(value, shape.dtype)
