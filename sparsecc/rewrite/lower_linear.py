"""Linear layers and convolutions on one pixel: pack the weights, choose the config, schedule."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.cost.linear import predict_linear
from sparsecc.facts.blocks import to_blocks
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.graph import FusedConv
from sparsecc.facts.layer_key import LayerKey, bucket
from sparsecc.facts.on_disk import forget
from sparsecc.facts.placed import PlacedNode
from sparsecc.kernels.linear import LinearConfig, LinearShape, argument_names
from sparsecc.rewrite.choice import Choice, Choose, by_cost_model
from sparsecc.rewrite.lowered import Lowered
from sparsecc.rewrite.pack import at_least_one
from sparsecc.schedule.linear import schedule_linear
from sparsecc.spaces.linear import MOST_ROWS, linear_space
from sparsecc.target import Target

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


def lower_linear(
    node: PlacedNode, operator: FusedConv, plan: LayerPlan, target: Target, choose: Choose = by_cost_model
) -> Lowered:
    """Lower a linear layer, sparse or dense as planned."""
    layer, spec = operator.layer, operator.layer.spec
    dense = plan.kept is None
    rows = _dense_rows(layer.weight, target) if plan.kept is None else _sparse_rows(layer.weight, plan.kept)
    counts = np.diff(rows.indptr)
    is_uniform = counts.size > 0 and counts[0] > 0 and bool((counts == counts[0]).all())
    shape = LinearShape(
        m=spec.n, ic=spec.ic, oc=spec.oc, rows=len(counts), block_n=rows.block_n, nnzb=int(rows.indptr[-1]),
        uniform=int(counts[0]) if is_uniform else None, dense=dense, scattered=not rows.contiguous,
        epilogue=operator.epilogue,
    )  # fmt: skip
    cycles = predict_linear(
        m=spec.n, rows=shape.rows, block_n=shape.block_n, nnzb=shape.nnzb, indexed=not dense, target=target
    )
    chosen = choose(_choice(shape, spec, cycles, target))
    config = chosen.config
    assert isinstance(config, LinearConfig), "a linear layer's choice gives its config"
    values: dict[str, int | NDArray[Any]] = {
        "input": node.inputs[0],
        "data": at_least_one(rows.data.reshape(-1)),
        "indices": at_least_one(rows.indices),
        "indptr": rows.indptr,
        "bias": layer.bias[rows.channels],
        "channels": rows.channels,
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(shape))
    identity = ("linear", shape, config)
    function = schedule_linear(shape, config)
    return Lowered(
        "linear", identity, function, arguments, asdict(config), cycles, why=chosen.why, choice=chosen.choice
    )


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


def _choice(shape: LinearShape, spec: ConvSpec, cycles: float, target: Target) -> Choice:
    default = _config(shape, target)
    key = LayerKey(
        kind="linear", spec=spec, block_n=0 if shape.dense else shape.block_n,
        density=100 if shape.dense else bucket(shape.nnzb, shape.rows * shape.ic),
        pattern="dense" if shape.dense else "ragged" if shape.uniform is None else "uniform",
        scattered=shape.scattered, epilogue=str(shape.epilogue), pitch=(shape.ic, shape.oc),
        adds_residual=shape.epilogue.adds_residual,
    )  # fmt: skip

    def space() -> tuple[LinearConfig, ...]:
        return tuple(dict.fromkeys((default, *linear_space(shape, target))))

    return Choice(key, default, space, lambda config: cycles)


def _config(shape: LinearShape, target: Target) -> LinearConfig:
    lanes = next(w for w in range(min(target.lanes, shape.block_n), 0, -1) if shape.block_n % w == 0)
    vectors = shape.block_n // lanes
    fitting = (target.registers - 4) // (vectors + 1)
    rows = max(1, min(shape.m, fitting, MOST_ROWS))
    busy = target.fma_latency * target.fma_per_cycle  # multiply-adds that don't wait for one another
    most = max(1, (target.registers - 4) // (rows * vectors))
    chains = max(n for n in (1, 2, 4, 8) if n == 1 or (n <= most and n * rows * vectors < 2 * busy))
    return LinearConfig(lanes, rows, chains)
