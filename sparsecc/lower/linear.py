"""Linear layers and convolutions on one pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.structure import Structure
from sparsecc.ir.blocks import to_blocks
from sparsecc.ir.graph import FusedConv
from sparsecc.ir.layer_key import LayerKey, bucket
from sparsecc.ir.on_disk import forget
from sparsecc.kernels.linear import LinearConfig, LinearShape, argument_names
from sparsecc.kernels.linear_schedule import schedule_linear
from sparsecc.lower.cost.decide import linear_cycles
from sparsecc.lower.cost.linear import predict_linear
from sparsecc.lower.kernel import Cost, Knobs, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.numbers import linear_numbers
from sparsecc.lower.pack import at_least_one
from sparsecc.lower.site import Site
from sparsecc.target import Target

#: registers for weights and what the compiler needs
_SPARE = 4
#: input rows in registers at most
_MOST_ROWS = 8
#: vectors of a dense row of blocks: independent chains of multiply-adds that hide their latency
_DENSE_VECTORS = 4


@dataclass(frozen=True, eq=False)
class _Rows:
    """A matrix as rows of blocks, in the linear kernel's terms."""

    data: NDArray[np.float32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]
    channels: NDArray[np.int32]
    block_n: int
    contiguous: bool


@dataclass(frozen=True, eq=False)
class LinearOptions:
    """A linear layer whose config is open."""

    rows: _Rows
    shape: LinearShape


def opened(site: Site[FusedConv]) -> LinearOptions:
    """A linear layer, sparse or dense as planned."""
    layer, spec, kept = site.operator.layer, site.operator.spec, site.plan.kept
    rows = _dense_rows(layer.weight, site.target) if kept is None else _sparse_rows(layer.weight, kept)
    counts = np.diff(rows.indptr)
    is_uniform = counts.size > 0 and counts[0] > 0 and bool((counts == counts[0]).all())
    shape = LinearShape(
        m=spec.n, ic=spec.ic, oc=spec.oc, rows=len(counts), block_n=rows.block_n, nnzb=int(rows.indptr[-1]),
        uniform=int(counts[0]) if is_uniform else None, dense=kept is None, scattered=not rows.contiguous,
        epilogue=site.operator.epilogue, dtype=site.operator.dtype,
    )  # fmt: skip
    return LinearOptions(rows, shape)


def key(site: Site[FusedConv], options: LinearOptions) -> LayerKey:
    """What records call it."""
    shape = options.shape
    return LayerKey(
        kind="linear", spec=site.operator.spec, block_n=0 if shape.dense else shape.block_n,
        density=100 if shape.dense else bucket(shape.nnzb, shape.rows * shape.ic),
        pattern="dense" if shape.dense else "ragged" if shape.uniform is None else "uniform",
        scattered=shape.scattered, epilogue=str(shape.epilogue), pitch=(shape.ic, shape.oc),
        adds_residual=shape.epilogue.adds_residual,
    )  # fmt: skip


def default(site: Site[FusedConv], options: LinearOptions) -> LinearConfig:
    """The cost model's config."""
    return _config(options.shape, site.target)


def space(site: Site[FusedConv], options: LinearOptions) -> Iterator[LinearConfig]:
    """Every legal config."""
    return linear_space(options.shape, site.target)


def cycles(site: Site[FusedConv], options: LinearOptions, config: LinearConfig) -> float:
    """What the cost model predicts: the same for all configs."""
    shape = options.shape
    return predict_linear(
        m=shape.m, rows=shape.rows, block_n=shape.block_n, nnzb=shape.nnzb, indexed=not shape.dense, target=site.target
    )


def lower(site: Site[FusedConv], options: LinearOptions, config: LinearConfig) -> Lowered:
    """Pack the weights, and make the kernel."""
    node, rows, shape = site.node, options.rows, options.shape
    values: dict[str, int | NDArray[Any]] = {
        "input": node.inputs[0],
        "data": at_least_one(rows.data.reshape(-1)).astype(shape.dtype, copy=False),
        "indices": at_least_one(rows.indices),
        "indptr": rows.indptr,
        "bias": site.operator.layer.bias[rows.channels],
        "channels": rows.channels,
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(shape))
    function = schedule_linear(shape, config)
    return Lowered(
        "linear", ("linear", shape, config), function, arguments, config.knobs(), cycles(site, options, config)
    )


def cost(site: Site[FusedConv], once: Once) -> Cost:
    """Cycles of the layer by itself."""
    found = linear_cycles(site.operator.spec, site.plan.kept, site.target)
    return Cost("linear", rest=found, chosen=found)


def linear_space(shape: LinearShape, target: Target) -> Iterator[LinearConfig]:
    """Every legal config: vectors that divide a block, rows of the input that fit the registers beside them."""
    for lanes in sorted({n for n in (target.lanes, target.lanes // 2, 4) if shape.block_n % n == 0}, reverse=True):
        vectors = shape.block_n // lanes
        for rows in range(1, min(shape.m, _MOST_ROWS) + 1):
            if rows == 1 or (vectors + 1) * rows <= target.registers - _SPARE:
                for chains in (1, 2, 4, 8):
                    if chains == 1 or chains * rows * vectors <= target.registers - _SPARE:
                        yield LinearConfig(lanes, rows, chains)


def _config(shape: LinearShape, target: Target) -> LinearConfig:
    lanes = next(w for w in range(min(target.lanes, shape.block_n), 0, -1) if shape.block_n % w == 0)
    vectors = shape.block_n // lanes
    fitting = (target.registers - _SPARE) // (vectors + 1)
    rows = max(1, min(shape.m, fitting, _MOST_ROWS))
    busy = target.fma_latency * target.fma_per_cycle  # multiply-adds that don't wait for one another
    most = max(1, (target.registers - _SPARE) // (rows * vectors))
    chains = max(n for n in (1, 2, 4, 8) if n == 1 or (n <= most and n * rows * vectors < 2 * busy))
    return LinearConfig(lanes, rows, chains)


def _dense_rows(weight: NDArray[np.float32], target: Target) -> _Rows:
    """All blocks of a dense matrix; the last row of blocks ends with the matrix and may repeat features."""
    oc, ic = weight.shape[:2]
    block_n = min(oc, _DENSE_VECTORS * target.lanes)
    first = np.minimum(np.arange(-(-oc // block_n)) * block_n, oc - block_n)
    channels = first[:, None] + np.arange(block_n)
    matrix, data = weight.reshape(oc, ic), np.empty((len(first), ic, block_n), np.float32)
    for row, start in zip(data, first, strict=True):
        row[:] = matrix[start : start + block_n].T
        forget(weight)
    return _Rows(
        data=data,
        indices=np.zeros(0, np.int32),
        indptr=(np.arange(len(first) + 1) * ic).astype(np.int32),
        channels=channels.reshape(-1).astype(np.int32),
        block_n=block_n,
        contiguous=True,
    )


def _sparse_rows(weight: NDArray[np.float32], structure: Structure) -> _Rows:
    blocks = to_blocks(weight, groups=1, grouping=structure.grouping)
    return _Rows(
        data=blocks.data,
        indices=blocks.indices,
        indptr=blocks.indptr,
        channels=blocks.oc_perm,
        block_n=blocks.block_n,
        contiguous=blocks.is_aligned and blocks.rows * blocks.block_n == blocks.oc,
    )


#: what is open in a linear layer
KNOBS = Knobs(key, default, space, cycles, numbers=linear_numbers, stored={"linear": LinearConfig.read})
