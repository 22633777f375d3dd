"""Structures of layers that were never pruned: what the compiler would find if they had been."""

from __future__ import annotations

import numpy as np

from sparsecc.analyse.block_rows import overhead
from sparsecc.analyse.impose import Impose, block_rows, imposed, pruned_blocks
from sparsecc.analyse.structure import Structure, find_structure
from sparsecc.ir.blocks import aligned_grouping
from sparsecc.ir.conv import ConvSpec

#: N that the compiler finds in any pattern of theirs
_POWERS = (1, 2, 4, 8, 16, 32)


def structure_of(spec: ConvSpec, impose: Impose) -> Structure:
    """Structure of a layer with a pattern imposed.

    Where blocks divide a group's channels it needs no weights: the pattern's own rows are what the compiler finds.
    Else it is found in random weights, the same every time.
    """
    n = impose.block_n
    if n in _POWERS and spec.oc_per_group % n == 0:
        rows = spec.groups * block_rows(spec.oc_per_group, n)
        blocks = rows * spec.ic_per_group
        return _made(spec, block_n=n, nnzb=blocks - pruned_blocks(blocks, impose.sparsity))
    shape = (spec.oc, spec.ic_per_group, 1, 1)
    weight = np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32)
    return find_structure(imposed(weight, impose, groups=spec.groups), groups=spec.groups)


def kept_structure(spec: ConvSpec, *, block_n: int, nnzb: int) -> Structure:
    """Structure of aligned rows that keep so many blocks in all."""
    return _made(spec, block_n=block_n, nnzb=nnzb)


def dense_structure(spec: ConvSpec) -> Structure:
    """Structure of a layer that keeps every weight."""
    return _made(spec, block_n=1, nnzb=spec.oc * spec.ic_per_group)


def _made(spec: ConvSpec, *, block_n: int, nnzb: int) -> Structure:
    grouping = aligned_grouping(spec.oc, groups=spec.groups, block_n=block_n)
    rows = int(grouping.shape[0])
    density = nnzb / (rows * spec.ic_per_group)
    each = nnzb / rows
    return Structure(
        block_n=block_n, aligned=True, uniform=nnzb % rows == 0, nnzb=nnzb, density=density, sparsity=1 - density,
        fill=0.0, counts=(int(each), each, -int(-each // 1)), empty_rows=0, all_zero=nnzb == 0, non_finite=0,
        denormal=0, cost=density * overhead(block_n), dense_cost=1.0, grouping=grouping,
    )  # fmt: skip
