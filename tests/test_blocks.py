"""BlockSparse: building it, reading it back, and refusing arrays that contradict each other."""

from dataclasses import replace

import numpy as np
import pytest
from cases import CASES, build
from hypothesis import given, settings
from hypothesis import strategies as st
from work import lines_run

from sparsecc.errors import InternalError
from sparsecc.ir.blocks import BlockSparse, aligned_grouping, dense_blocks, kept_kernels, to_blocks
from sparsecc.ir.indices import BYTES, DTYPES, index_format, steps_of


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_survives_the_round_trip(case):
    arrays = build(case)
    blocks, spec = arrays.blocks, case.spec
    assert np.array_equal(blocks.to_dense(), arrays.weight)
    assert blocks.data.shape == (blocks.nnzb, case.block_n, spec.taps)
    assert (blocks.data.dtype, blocks.indices.dtype, blocks.indptr.dtype) == (np.float32, np.int32, np.int32)
    assert blocks.is_aligned or not case.aligned
    assert blocks.is_uniform or not case.uniform
    assert blocks.nbytes == 4 * (blocks.data.size + blocks.nnzb + blocks.rows + 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_dense_blocks_keep_everything(case):
    spec, weight = case.spec, build(case).weight
    blocks = dense_blocks(weight, groups=spec.groups, block_n=case.block_n)
    assert blocks.density == 1.0
    assert blocks.is_uniform
    assert blocks.is_aligned
    assert np.array_equal(blocks.to_dense(), weight)
    filled = blocks.rows * case.block_n / spec.oc
    assert blocks.kept_macs(spec.n * spec.oh * spec.ow) == spec.macs * filled


@given(
    rows=st.integers(1, 6),
    block_n=st.sampled_from([1, 2, 4, 8]),
    groups=st.integers(1, 3),
    ic_per_group=st.integers(1, 9),
    taps=st.sampled_from([(1, 1), (3, 3), (1, 2)]),
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0, 1),
)
@settings(max_examples=80, deadline=None)
def test_round_trip_of_any_weight_and_grouping(rows, block_n, groups, ic_per_group, taps, seed, density):
    rng = np.random.default_rng(seed)
    oc_per_group = max(1, rows * block_n - int(rng.integers(block_n)))
    weight = rng.standard_normal((groups * oc_per_group, ic_per_group, *taps), np.float32)
    weight *= rng.random(weight.shape[:2])[:, :, None, None] < density
    shuffled = np.concatenate([rng.permutation(oc_per_group) + g * oc_per_group for g in range(groups)])
    grouping = shuffled[aligned_grouping(weight.shape[0], groups=groups, block_n=block_n)].astype(np.int32)
    blocks = to_blocks(weight, groups=groups, grouping=grouping)
    assert np.array_equal(blocks.to_dense(), weight)
    assert (np.abs(blocks.data).max(axis=(1, 2)) > 0).all()


def test_definition_by_hand():
    weight = np.zeros((4, 2, 1, 1), np.float32)  # groups=2: channels 0, 1 see inputs 0, 1; channels 2, 3 see 2, 3
    weight[1, 0], weight[2, 1], weight[3, 1] = 5, 6, 7
    blocks = to_blocks(weight, groups=2, grouping=np.array([[1, 0], [2, 3]], np.int32))
    assert blocks.data[:, :, 0].tolist() == [[5, 0], [6, 7]]
    assert blocks.indices.tolist() == [0, 3]
    assert blocks.indptr.tolist() == [0, 1, 2]
    assert blocks.density == 0.5
    assert not blocks.is_aligned


def test_short_last_row_repeats_its_last_channel():
    assert aligned_grouping(6, groups=2, block_n=2).tolist() == [[0, 1], [2, 2], [3, 4], [5, 5]]
    blocks = dense_blocks(np.arange(1, 4, dtype=np.float32).reshape(3, 1, 1, 1), groups=1, block_n=2)
    assert blocks.data[:, :, 0].tolist() == [[1, 2], [3, 3]]


def test_denormals_nan_and_inf_are_kept_but_negative_zero_is_not():
    weight = np.array([1e-45, np.nan, -np.inf, -0.0], np.float32).reshape(4, 1, 1, 1)
    assert kept_kernels(weight)[:, 0].tolist() == [True, True, True, False]


def test_strided_weight():
    weight = np.asfortranarray(np.random.default_rng(0).standard_normal((4, 3, 3, 3), np.float32))
    assert np.array_equal(dense_blocks(weight, groups=1, block_n=2).to_dense(), weight)


@pytest.mark.parametrize("weight", [np.ones((2, 2, 1, 1)), np.ones((2, 2), np.float32), np.ones((0, 2, 1, 1), "f")])
def test_wrong_weight_is_refused(weight):
    with pytest.raises(InternalError, match="expected float32"):
        dense_blocks(weight, groups=1, block_n=1)


GOOD = to_blocks(np.ones((4, 2, 1, 1), np.float32), groups=2, grouping=np.array([[0, 1], [2, 3]], np.int32))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("data", GOOD.data.astype(np.float64), "dtypes"),
        ("data", GOOD.data[:, :, 0], "data"),
        ("kh", 3, "data"),
        ("indices", GOOD.indices[:-1], "indices"),
        ("indptr", np.array([0, 4], np.int32), "oc_perm"),
        ("groups", 3, "divisible"),
        ("oc_perm", np.array([0, 1, 2, 4], np.int32), "oc_perm within"),
        ("indptr", np.array([0, 5, 4], np.int32), "indptr rising"),
        ("oc_perm", np.array([0, 1, 2, 2], np.int32), "every output channel"),
        ("oc_perm", np.array([0, 2, 1, 3], np.int32), "one conv group"),
        ("indices", np.array([0, 1, 0, 1], np.int32), "conv group"),
        ("indices", np.array([1, 0, 2, 3], np.int32), "ascending"),
    ],
)
def test_contradictions_are_refused(field, value, expected):
    with pytest.raises(InternalError, match=expected):
        replace(GOOD, **{field: value})


def test_channel_in_two_rows_is_refused():
    data = np.ones((0, 2, 1), np.float32)
    empty = np.zeros(0, np.int32)
    perm = np.array([0, 1, 1, 2], np.int32)
    with pytest.raises(InternalError, match="exactly one row"):
        BlockSparse(data, empty, np.zeros(3, np.int32), perm, oc=3, ic=1, groups=1, kh=1, kw=1)


def test_large_layers_are_no_more_work_for_python():
    """All blocks at once, by NumPy, a part of the weights at a time: a layer of ResNet-50 has 131,072."""

    def work(channels: int) -> int:
        rng = np.random.default_rng(0)
        weight = rng.standard_normal((channels, channels, 3, 3), np.float32)
        weight *= rng.random((channels, channels, 1, 1)) < 0.5
        grouping = aligned_grouping(channels, groups=1, block_n=1)
        return lines_run(lambda: to_blocks(weight, groups=1, grouping=grouping))

    assert work(512) <= work(16) + 100 < 500  # 512 channels are nine parts of 2 ** 18 weights


@given(rows=st.integers(1, 9), columns=st.integers(1, 400), density=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_steps_add_up_to_the_columns(rows, columns, density, seed):
    kept = np.random.default_rng(seed).random((rows, columns)) < density
    indices = np.nonzero(kept)[1].astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
    steps = steps_of(indices, indptr)
    assert (steps >= 0).all()
    for row in range(rows):
        owned = slice(indptr[row], indptr[row + 1])
        np.testing.assert_array_equal(np.cumsum(steps[owned]), indices[owned])


@pytest.mark.parametrize(
    ("weights", "columns", "groups", "widest_step", "expected"),
    [
        (1, 4608, 1, 255, "step"),
        (1, 4608, 1, 256, "column"),
        (3, 64, 1, 63, "step"),
        (1, 4608, 2, 12, "column"),
        (1, 1 << 16, 1, 256, "column"),
        (1, (1 << 16) + 1, 1, 256, "offset"),
        (4, 64, 1, 1, "offset"),
        (9, 64, 1, 1, "offset"),
    ],
)
def test_index_format(weights, columns, groups, widest_step, expected):
    found = index_format(weights=weights, columns=columns, groups=groups, widest_step=widest_step)
    assert found == expected
    assert np.dtype(DTYPES[found]).itemsize == BYTES[found]
