"""Cost model of the linear kernel: weights are read once, so memory decides unless the batch is large."""

from __future__ import annotations

from sparsecc.target import Target


def predict_linear(*, m: int, rows: int, block_n: int, nnzb: int, indexed: bool, target: Target) -> float:
    """Predicted cycles on one core for ``m`` input rows.

    Parameters
    ----------
    rows, block_n, nnzb : int
        Rows of blocks, output features of each, kept blocks.
    indexed : bool
        True when every kept block also has an index.
    """
    lanes = min(target.lanes, block_n)
    vectors = -(-block_n // lanes)
    loads = vectors + m + indexed
    per_block = max(loads / target.loads_per_cycle, vectors * m / target.fma_per_cycle)
    weights = nnzb * (block_n + indexed) * 4
    return max(nnzb * per_block, weights / target.bandwidth(weights)) + rows * 20.0
