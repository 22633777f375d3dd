"""What would make a layer faster: a sentence or none, from what its report knows."""

from __future__ import annotations

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.page.rows import Row

#: a layer that takes less of the time is not worth work
_SMALL = 0.005
#: channels below which there is little to share or to prune
_FEW = 4
#: share of the limit below which a search for a better config is worth while
_FAR = 0.6
#: the fullest row over the median one from which on threads wait for it
_UNEVEN = 2.0
#: of weights that are zero: blocks of them could be skipped
_MANY_ZEROS = 0.3


def hint(row: Row) -> str:
    """Say what would help; empty where nothing is known that would."""
    layer = row.layer
    if layer is None or row.inside or (row.share is not None and row.share < _SMALL):
        return ""
    return _of_dense(layer, layer.structure) if layer.decision == "dense" else _of_sparse(row, layer)


def _of_dense(layer: LayerPlan, structure: Structure | None) -> str:
    if structure is None:
        return "A smaller image or fewer channels: a depthwise layer has no blocks to skip."
    if "keep_dense" in layer.reason:
        return "Take it out of keep_dense to see what its zeros gain."
    if structure.has_zero_blocks:
        return (
            f"Prune more of it, {structure.density:.0%} of its blocks are kept, or in wider blocks; sparsecc advise "
            "says from which sparsity on it gains."
        )
    if structure.sparsity >= _MANY_ZEROS:
        return "Its zeros are scattered: prune blocks (sparsecc.prune.OneByN) in the place of single weights."
    if layer.spec.ic_per_group < _FEW:
        return ""  # the first convolution: hardly anything to prune, and accuracy depends on it
    return "Prune blocks of it; sparsecc advise says what each sparsity would gain."


def _of_sparse(row: Row, layer: LayerPlan) -> str:
    found = layer.structure
    if found is None or found.all_zero:
        return ""
    if layer.limit:
        return f"A faster algorithm was given up: {layer.limit}."
    if found.block_n < _FEW and layer.spec.oc >= _FEW:
        return f"Prune blocks of 4, 8 or 16 output channels: those of {found.block_n} share few loads."
    if found.by_tap:
        return "Prune whole kernels: blocks of one tap need an index each."
    _, median, high = found.counts
    if median and high / median >= _UNEVEN:
        return f"Prune rows evenly (sparsecc.prune.Subp): the fullest keeps {high} blocks, the median one {median:.0f}."
    by = {kernel.chosen.partition(":")[0] for kernel in row.kernels}
    if row.limit is not None and row.limit < _FAR and "record" not in by:
        return "Search for its kernel (sparsecc tune): its config was chosen without a measurement of this layer."
    return ""
