"""Predicted speed-up of a layer's sparse kernel over its dense one."""

from __future__ import annotations

from sparsecc.analyse.structure import Structure
from sparsecc.cost.channel_lanes import lane_config, predict_lanes
from sparsecc.cost.direct import DirectWork, best_config, predict
from sparsecc.cost.linear import predict_linear
from sparsecc.facts.conv import ConvSpec
from sparsecc.target import Target


def predicted_speedup(spec: ConvSpec, structure: Structure, target: Target) -> float:
    """Dense time over sparse time, both as the cost model sees them."""
    dense, sparse = layer_cycles(spec, None, target), layer_cycles(spec, structure, target)
    return dense / (max(sparse, 1.0) if spec.is_linear else sparse)


def layer_cycles(spec: ConvSpec, structure: Structure | None, target: Target) -> float:
    """Predicted cycles of a layer with its best kernel and config; ``structure`` is None for a dense one.

    A dense layer's are those of the direct kernel; :mod:`~sparsecc.cost.winograd` may have a faster one.
    """
    if spec.is_linear:
        return linear_cycles(spec, structure, target)
    if structure is None:
        return dense_cycles(spec, target)
    work = work_of(spec, rows=structure.rows, block_n=structure.block_n, nnzb=structure.nnzb)
    return least_cycles(spec, work, target)


def least_cycles(spec: ConvSpec, work: DirectWork, target: Target) -> float:
    """Predicted cycles of the fastest kernel: pixels or channels as the vector."""
    cycles = predict(work, best_config(work, target), target)
    lanes = lane_config(spec, block_n=work.block_n, target=target)
    return cycles if lanes is None else min(cycles, predict_lanes(spec, work, lanes, target))


def dense_cycles(spec: ConvSpec, target: Target) -> float:
    """Predicted cycles of the dense direct kernel with its best rows of blocks."""
    works = [dense_work(spec, block_n=n) for n in dense_block_sizes(spec)]
    return min(least_cycles(spec, work, target) for work in works)


def dense_block_sizes(spec: ConvSpec) -> list[int]:
    """Sizes of row worth trying for a dense layer."""
    return [n for n in (1, 2, 4, 8, 16) if n <= spec.oc_per_group]


def dense_work(spec: ConvSpec, *, block_n: int) -> DirectWork:
    """The layer with every block kept."""
    rows = spec.groups * -(-spec.oc_per_group // block_n)
    return work_of(spec, rows=rows, block_n=block_n, nnzb=rows * spec.ic_per_group)


def work_of(spec: ConvSpec, *, rows: int, block_n: int, nnzb: int) -> DirectWork:
    """The model's view of a layer before layouts are known; a group is an image of its own."""
    _, left, _, right = spec.padding
    pitch = spec.ow + max(left, right)
    plane = pitch * (spec.oh + spec.kh - 1)
    return DirectWork(
        images=spec.n * spec.groups, flat=(spec.oh - 1) * pitch + spec.ow, plane=plane, ic=spec.ic_per_group,
        taps=spec.taps, kernel_width=spec.kw, rows=rows // spec.groups, block_n=block_n, nnzb=-(-nnzb // spec.groups),
    )  # fmt: skip


def linear_cycles(spec: ConvSpec, structure: Structure | None, target: Target) -> float:
    """Predicted cycles of a linear layer, sparse or dense."""
    if structure is not None:
        return predict_linear(
            m=spec.n, rows=structure.rows, block_n=structure.block_n, nnzb=structure.nnzb, indexed=True, target=target
        )
    wide = min(4 * target.lanes, spec.oc)
    rows = -(-spec.oc // wide)
    return predict_linear(m=spec.n, rows=rows, block_n=wide, nnzb=rows * spec.ic, indexed=False, target=target)
