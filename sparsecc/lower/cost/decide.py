"""Predicted speed-up of a layer's sparse kernel over its dense one."""

from __future__ import annotations

from dataclasses import replace

from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.cost.channel_lanes import lane_config, predict_lanes
from sparsecc.lower.cost.direct import DirectWork, predict
from sparsecc.lower.cost.direct_space import best_config
from sparsecc.lower.cost.linear import predict_linear
from sparsecc.target import Target


def predicted_speedup(spec: ConvSpec, structure: Structure, target: Target) -> float:
    """Dense time over sparse time, both as the cost model sees them."""
    dense, sparse = layer_cycles(spec, None, target), layer_cycles(spec, structure, target)
    return dense / (max(sparse, 1.0) if spec.is_linear else sparse)


def layer_cycles(spec: ConvSpec, structure: Structure | None, target: Target) -> float:
    """Predicted cycles of a layer with its best kernel and config; ``structure`` is None for a dense one.

    A dense layer's are those of the direct kernel; :mod:`~sparsecc.lower.cost.winograd` may have a faster one.
    """
    if spec.is_linear:
        return linear_cycles(spec, structure, target)
    if structure is None:
        return dense_cycles(spec, target)
    return least_cycles(spec, sparse_work(spec, structure), target)


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


def sparse_work(spec: ConvSpec, structure: Structure) -> DirectWork:
    """The layer with the kept blocks of a structure."""
    work = work_of(spec, rows=structure.rows, block_n=structure.block_n, nnzb=structure.nnzb)
    _, left, _, right = spec.padding
    return by_single_tap(work, spec, pitch=spec.ow + max(left, right)) if structure.by_tap else work


def by_single_tap(work: DirectWork, spec: ConvSpec, *, pitch: int) -> DirectWork:
    """The same where blocks have one tap; rows of the input are ``pitch`` floats apart."""
    halo = (spec.kh - 1) * spec.dilation[0] * pitch + (spec.kw - 1) * spec.dilation[1]
    return replace(work, taps=1, kernel_width=1, halo=halo)


def work_of(spec: ConvSpec, *, rows: int, block_n: int, nnzb: int) -> DirectWork:
    """The model's view of a layer before layouts are known; a group is an image of its own."""
    _, left, _, right = spec.padding
    pitch = spec.ow + max(left, right)
    plane = pitch * (spec.oh + spec.kh - 1)
    return DirectWork(
        images=spec.n * spec.groups, groups=spec.groups, flat=(spec.oh - 1) * pitch + spec.ow, plane=plane,
        ic=spec.ic_per_group, taps=spec.taps, kernel_width=spec.kw, rows=rows // spec.groups, block_n=block_n,
        nnzb=-(-nnzb // spec.groups),
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
