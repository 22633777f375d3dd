"""Rows of blocks in an order that gives threads equal work."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparsecc.ir.blocks import aligned_grouping, reordered, to_blocks
from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.balance import balanced_order, excess
from sparsecc.lower.conv_reference import sparse_conv2d

row_counts = st.lists(st.integers(0, 500), min_size=1, max_size=70).map(lambda c: np.array(c, np.int32))


@given(counts=row_counts)
def test_order_is_a_permutation_and_no_worse(counts):
    order = balanced_order(counts)
    if order is None:
        return
    assert sorted(order) == list(range(counts.size))
    assert excess(counts[order]) < excess(counts)


def test_even_rows_keep_their_order():
    assert balanced_order(np.full(32, 7, np.int32)) is None
    assert balanced_order(np.zeros(5, np.int32)) is None
    assert balanced_order(np.array([3], np.int32)) is None


def test_sorted_rows_are_shared_out():
    counts = np.arange(64, 0, -1).astype(np.int32)
    assert excess(counts) > 0.4
    order = balanced_order(counts)
    assert excess(counts[order]) < 0.01
    quarters = counts[order].reshape(4, 16).sum(axis=1)
    assert quarters.max() < 1.02 * quarters.mean()


def test_reordered_blocks_compute_the_same():
    rng = np.random.default_rng(0)
    weight = rng.integers(-2, 3, (12, 6, 3, 3)).astype(np.float32)
    weight[:4, :5] = 0
    weight[8:] = 0
    blocks = to_blocks(weight, groups=1, grouping=aligned_grouping(12, groups=1, block_n=4))
    turned = reordered(blocks, np.array([2, 0, 1]))
    assert turned.counts.tolist() == [0, 1, 6]
    spec = ConvSpec(1, 6, 5, 5, 12, 3, 3, padding=(1, 1, 1, 1))
    x = rng.integers(-2, 3, (1, 6, 5, 5)).astype(np.float32)
    np.testing.assert_array_equal(sparse_conv2d(x, turned, None, spec), sparse_conv2d(x, blocks, None, spec))
