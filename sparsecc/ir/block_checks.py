"""What holds of rows of blocks: the arrays fit each other and the layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparsecc.errors import InternalError

if TYPE_CHECKING:
    from sparsecc.ir.blocks import BlockSparse


def check_blocks(blocks: BlockSparse) -> None:
    """Raise InternalError for arrays that contradict each other or the layer."""
    _check_shapes(blocks)
    _check_values(blocks)


def _check_shapes(blocks: BlockSparse) -> None:
    data, indices, indptr, oc_perm = blocks.data, blocks.indices, blocks.indptr, blocks.oc_perm
    facts = {
        "dtypes float32, int32, int32, int32": [a.dtype for a in (data, indices, indptr, oc_perm)]
        == [np.float32, np.int32, np.int32, np.int32],
        "data (nnzb, block_n, kh * kw)": data.ndim == 3 and data.shape[2] == blocks.taps,
        "indices (nnzb,)": indices.shape == data.shape[:1],
        "oc_perm (rows * block_n,)": oc_perm.shape == ((indptr.size - 1) * data.shape[1],),
        "oc and ic divisible by groups": blocks.oc % blocks.groups == 0 and blocks.ic % blocks.groups == 0,
    }
    _require(facts)


def _check_values(blocks: BlockSparse) -> None:
    counts = blocks.counts
    conv_group = blocks.grouping // (blocks.oc // blocks.groups)
    inside = bool((blocks.oc_perm >= 0).all() and (blocks.oc_perm < blocks.oc).all())
    spans = bool((counts >= 0).all()) and blocks.indptr[0] == 0 and blocks.indptr[-1] == blocks.nnzb
    _require({"oc_perm within 0 .. oc - 1": inside, "indptr rising from 0 to nnzb": spans})
    # large layers have no room for the row of every block
    own_inputs = np.repeat(conv_group[:, 0], counts) == blocks.indices // (blocks.ic // blocks.groups)
    ascending = blocks.indices[1:] > blocks.indices[:-1]
    begins = blocks.indptr[1:-1]
    ascending[begins[(begins > 0) & (begins < blocks.nnzb)] - 1] = True
    # filled slots repeat their left neighbour: what differs from it is a channel's one real slot
    real = blocks.rows + int((blocks.grouping[:, 1:] != blocks.grouping[:, :-1]).sum())
    covered = bool(np.bincount(blocks.oc_perm, minlength=blocks.oc).all())
    facts = {
        "every output channel in exactly one row": covered and real == blocks.oc,
        "rows within one conv group": bool((conv_group == conv_group[:, :1]).all()),
        "indices within the row's conv group": bool(own_inputs.all()),
        "indices ascending within a row": bool(ascending.all()),
    }
    _require(facts)


def _require(facts: dict[str, bool]) -> None:
    """Raise for the first fact that does not hold."""
    for expected, holds in facts.items():
        if not holds:
            raise InternalError(f"blocks of a layer contradict themselves: expected {expected}")
