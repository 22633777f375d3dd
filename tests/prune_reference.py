"""The papers' pruning rules in plain NumPy, block by block: the oracle of `sparsecc.prune`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def floor_share(rate: float, count: int) -> int:
    """``int(rate * count)`` for a rate that is meant as it is written."""
    return math.floor(Fraction(repr(rate)) * count)


def rows_of(oc: int, n: int, groups: int, order: Array | None = None) -> list[list[int]]:
    """Output channels of every row of blocks; ``order`` lists all channels, group by group."""
    channels = list(range(oc)) if order is None else list(order)
    size = oc // groups
    return [
        channels[start : min(start + n, (group + 1) * size)]
        for group in range(groups)
        for start in range(group * size, (group + 1) * size, n)
    ]


def sorted_order(weight: Array, groups: int) -> Array:
    """Channels of every conv group by falling L1 norm."""
    size = weight.shape[0] // groups
    norms = np.abs(weight).reshape(weight.shape[0], -1).sum(axis=1)
    return np.concatenate([start + np.argsort(-norms[start : start + size]) for start in range(0, len(norms), size)])


def block_norm(block: Array, norm: str) -> float:
    """Norm per output channel; the block's first axis is the output channel."""
    if norm == "l1":
        return float(np.abs(block).sum()) / len(block)
    return math.sqrt(float(np.square(block).sum()) / len(block))


def one_by_n(weight: Array, rows: list[list[int]], sparsity: float, norm: str = "l1") -> Array:
    """Mask (oc, ic) of the 1xN rule: the lowest blocks of the layer go."""
    blocks = [(r, c) for r in range(len(rows)) for c in range(weight.shape[1])]
    norms = [block_norm(weight[rows[r], c], norm) for r, c in blocks]
    mask = np.ones(weight.shape[:2], bool)
    for index in np.argsort(norms, kind="stable")[: floor_share(sparsity, len(blocks))]:
        r, c = blocks[index]
        mask[rows[r], c] = False
    return mask


def subp_scores(row: Array, criterion: str, alpha: float) -> Array:
    """Scores (ic,) of the blocks of a row (n, ic, ...)."""
    blocks = [row[:, c].ravel().astype(np.float64) for c in range(row.shape[1])]
    l1 = np.array([np.abs(block).sum() for block in blocks])
    if criterion == "l1":
        return l1
    lengths = np.array([math.sqrt((block**2).sum()) for block in blocks])
    if criterion == "l2":
        return lengths
    redundancy = np.zeros(len(blocks))
    for i, a in enumerate(blocks):
        for j, b in enumerate(blocks):
            if i != j and lengths[i] and lengths[j]:
                redundancy[i] += abs(float(a @ b)) / (lengths[i] * lengths[j])
    return l1 / l1.sum() - alpha * redundancy / redundancy.sum()


def subp(
    weight: Array,
    rows: list[list[int]],
    sparsity: float,
    *,
    reached: float,
    uniform_noise: Array,
    criterion: str = "bpar",
    alpha: float = 1.0,
    temperature: float = 1.0,
) -> Array:
    """Mask (oc, ic) of SUBP; ``uniform_noise`` (rows, ic) in 0..1 stands for the random draw of what grows back."""
    ic = weight.shape[1]
    mask = np.ones(weight.shape[:2], bool)
    for r, channels in enumerate(rows):
        scores = subp_scores(weight[channels], criterion, alpha)
        pruned = list(np.argsort(scores, kind="stable")[: floor_share(sparsity, ic)])
        length = math.sqrt(sum(scores[c] ** 2 for c in pruned)) or 1.0
        # the exponential race: the earliest arrivals are a sample without replacement from the softmax
        arrival = {c: -math.log(uniform_noise[r, c]) / math.exp(scores[c] / length / temperature) for c in pruned}
        regrow = int(sparsity * (1 - reached) * ic + 1e-6)
        back = sorted(pruned, key=arrival.__getitem__)[:regrow]
        for c in set(pruned) - set(back):
            mask[channels, c] = False
    return mask


def blocks_of(columns: int, size: int) -> Iterator[range]:
    """Consecutive columns; the last block may be shorter."""
    for start in range(0, columns, size):
        yield range(start, min(start + size, columns))


def block_max(row: Array, size: int) -> Array:
    """Mask of one row: the first largest magnitude of every block stays."""
    mask = np.zeros(len(row), bool)
    for block in blocks_of(len(row), size):
        mask[max(block, key=lambda c: (abs(row[c]), -c))] = True
    return mask


def darb(matrix: Array, sparsity: float, max_block: int = 256) -> Array:
    """Mask of a matrix by DARB: block sizes from the density that irregular pruning leaves in each row."""
    count = floor_share(sparsity, matrix.size)
    threshold = np.sort(np.abs(matrix).ravel())[count - 1] if count else -1.0
    mask = np.zeros(matrix.shape, bool)
    for r, row in enumerate(matrix):
        density = np.mean(np.abs(row) > threshold)
        size = max_block if density == 0 else min(2 ** round(math.log2(1 / density)), max_block)
        mask[r] = block_max(row, size)
    return mask
