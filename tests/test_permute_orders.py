"""Orders of channels: rows and steps are numbered anew, and tensors get their own order back."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparsecc.analyse.reorder import numbers, renumbered, reordered
from sparsecc.analyse.structure import find_structure
from sparsecc.ir.blocks import aligned_grouping
from sparsecc.ir.channel_order import ChannelOrder


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 20))
def test_rows_are_renumbered(seed, block_n, oc):
    rng = np.random.default_rng(seed)
    order = rng.permutation(oc)
    rows = aligned_grouping(oc, groups=1, block_n=block_n)
    found = renumbered(rows, order)
    assert {frozenset(order[row]) for row in found} == {frozenset(row) for row in rows}
    assert (np.diff(found, axis=1) >= 0).all()
    np.testing.assert_array_equal(numbers(order)[order], np.arange(oc))


def test_steps_between_taps_are_counted_anew():
    """Inputs in another order may be further apart than 8 bits reach."""
    rng = np.random.default_rng(0)
    weight = np.zeros((8, 64, 3, 3), np.float32)
    # one tap in every 16, another one in each output channel; none in the last 32 channels
    columns = np.arange(0, 288, 16) + rng.integers(0, 16, (8, 18))
    np.put_along_axis(weight.reshape(8, -1), columns, 1.0, axis=1)
    structure = find_structure(weight)
    assert (structure.by_tap, structure.block_n, structure.index) == (True, 1, "step")
    order = np.concatenate([np.arange(16), np.arange(32, 64), np.arange(16, 32)])
    found = reordered(structure, np.ascontiguousarray(weight[:, order]), None)
    assert found.index == "column"
    assert reordered(structure, weight, None).index == "step"


def test_an_order_is_undone():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    order = np.array([2, 0, 1])
    found = ChannelOrder((2, 3, 4), 1, order)
    np.testing.assert_array_equal(found.undone(values[:, order]), values)
    np.testing.assert_array_equal(found.undone(values[:, order].reshape(-1)), values.reshape(-1))
