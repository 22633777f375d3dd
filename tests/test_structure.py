"""find_structure: recovers how a weight was pruned, and never makes a wrong grouping of it."""

import numpy as np
import pytest
from cases import CASES, build
from hypothesis import given, settings
from hypothesis import strategies as st
from work import lines_run

from sparsecc.analyse.block_rows import overhead
from sparsecc.analyse.structure import Structure, find_structure
from sparsecc.errors import InternalError, UserError
from sparsecc.ir.blocks import by_taps, to_blocks


def pruned(oc, ic, *, block_n, density, taps=1, groups=1, shuffle=False, uniform=False, seed=0):
    """A weight with 1xN blocks, rows cut from consecutive or (``shuffle``) from shuffled output channels."""
    rng = np.random.default_rng(seed)
    score = rng.random((-(-oc // block_n), ic // groups))
    kept = score < density
    if uniform:
        kept = score.argsort(axis=1).argsort(axis=1) < round(density * score.shape[1])
    mask = np.repeat(kept, block_n, axis=0)[:oc]
    if shuffle:
        per_group = oc // groups
        mask = mask[np.concatenate([rng.permutation(per_group) + g * per_group for g in range(groups)])]
    weight = rng.random((oc, ic // groups, taps, taps), np.float32) + 0.5  # a normal float32 may well be zero
    return weight * mask[:, :, None, None].astype(np.float32)


def cost_of(blocks, by_tap=False):
    """Multiply-adds, weighted."""
    return blocks.data.size * overhead(blocks.block_n) * (1.2 if by_tap else 1.0)


def check(weight, found, *, groups=1):
    """The structure is true to the weight; the blocks it leads to are the weight."""
    source = by_taps(weight) if found.by_tap else weight
    blocks = to_blocks(source, groups=groups, grouping=found.grouping)
    assert np.array_equal(blocks.to_dense(), source, equal_nan=True)
    assert blocks.block_n == found.block_n
    assert blocks.is_aligned or not found.aligned
    assert blocks.is_uniform == found.uniform
    assert blocks.nnzb == found.nnzb
    assert blocks.density == pytest.approx(found.density)
    assert found.counts == (blocks.counts.min(), np.median(blocks.counts), blocks.counts.max())
    assert found.empty_rows == (blocks.counts == 0).sum()
    assert found.sparsity == pytest.approx((weight == 0).mean())
    assert found.fill == pytest.approx(1 - (weight != 0).sum() / blocks.data.size if blocks.data.size else 0)
    assert found.cost == pytest.approx(cost_of(blocks, found.by_tap) / weight.size)
    again = Structure.from_json(found.to_json(), oc=weight.shape[0], groups=groups)
    assert again.to_json() == found.to_json()
    assert np.array_equal(again.grouping, found.grouping)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_costs_no_more_than_the_pattern_it_was_made_with(case):
    arrays, spec = build(case), case.spec
    found = check(arrays.weight, find_structure(arrays.weight, groups=spec.groups), groups=spec.groups)
    made = cost_of(arrays.blocks) / arrays.weight.size
    assert found.cost <= made * 1.01 + 1e-9
    assert found.all_zero == (case.density == 0)


@given(
    block_n=st.sampled_from([1, 2, 3, 4, 6, 8, 11, 12, 16, 20, 32]),
    rows=st.integers(4, 12),
    density=st.floats(0.1, 0.6),
    taps=st.sampled_from([1, 3]),
    shuffle=st.booleans(),
    uniform=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_pruned_weight_is_recovered(block_n, rows, density, taps, shuffle, uniform, seed):
    shape = {"block_n": block_n, "density": density, "taps": taps}
    weight = pruned(rows * block_n, 128, **shape, shuffle=shuffle, uniform=uniform, seed=seed)
    found = check(weight, find_structure(weight))
    assert found.block_n == block_n
    assert found.fill == 0
    assert found.uniform or not uniform
    if not shuffle:
        assert found.aligned


@given(
    block_n=st.sampled_from([2, 4, 8]),
    groups=st.integers(2, 4),
    rows=st.integers(2, 4),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_pruned_grouped_weight_is_recovered(block_n, groups, rows, shuffle, seed):
    oc = groups * rows * block_n
    weight = pruned(oc, 64 * groups, block_n=block_n, density=0.4, groups=groups, shuffle=shuffle, seed=seed)
    found = check(weight, find_structure(weight, groups=groups), groups=groups)
    assert found.block_n == block_n
    conv_group = found.grouping // (oc // groups)
    assert (conv_group == conv_group[:, :1]).all()


@given(
    oc=st.integers(1, 40),
    ic=st.integers(1, 12),
    groups=st.integers(1, 3),
    density=st.floats(0, 1),
    max_n=st.sampled_from([1, 2, 4, 8, 16, 32]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_any_weight_is_grouped_truly_and_no_worse_than_dense(oc, ic, groups, density, max_n, seed):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((groups * oc, ic, 1, 1), np.float32)
    weight *= rng.random(weight.shape) < density
    weight *= rng.random((groups * oc, 1, 1, 1)) < 0.9
    found = check(weight, find_structure(weight, groups=groups, max_n=max_n), groups=groups)
    assert found.block_n <= max_n
    assert found.cost <= found.dense_cost * 1.01
    assert found.cost >= (weight != 0).mean() * 0.99


@pytest.mark.parametrize("density", [0.1, 0.25, 0.5, 0.7])
def test_unstructured_is_one_wide(density):
    found = check(weight := pruned(128, 128, block_n=1, density=density), find_structure(weight))
    assert (found.block_n, found.aligned, found.fill) == (1, True, 0)


def test_dense_has_no_zero_blocks():
    found = check(weight := pruned(64, 32, block_n=1, density=2, taps=3), find_structure(weight))
    assert not found.has_zero_blocks
    assert (found.block_n, found.aligned, found.uniform, found.cost, found.dense_cost) == (32, True, True, 1, 1)


def test_slightly_sparse_unstructured_is_dense():
    found = check(weight := pruned(64, 64, block_n=1, density=0.95), find_structure(weight))
    assert not found.has_zero_blocks
    assert found.sparsity > 0.03


def test_the_same_taps_of_all_kernels_are_skipped():
    weight = pruned(64, 64, block_n=1, density=2, taps=3)
    weight[:, :, ::2, ::2] = 0
    found = check(weight, find_structure(weight))
    assert (found.by_tap, found.block_n, found.fill) == (True, 32, 0)
    assert found.density == pytest.approx(5 / 9)


@pytest.mark.parametrize("density", [0.1, 0.4])
def test_unstructured_kernels_are_taken_tap_by_tap(density):
    weight = pruned(64, 64, block_n=1, density=2, taps=3)
    weight *= np.random.default_rng(1).random(weight.shape) < density
    found = check(weight, find_structure(weight))
    assert (found.by_tap, found.block_n, found.aligned, found.fill) == (True, 1, True, 0)


def test_a_few_zeros_inside_kernels_are_no_structure():
    weight = pruned(64, 64, block_n=1, density=2, taps=3)
    weight *= np.random.default_rng(1).random(weight.shape) < 0.8
    found = check(weight, find_structure(weight))
    assert not found.has_zero_blocks
    assert found.fill == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("shuffle", [False, True])
def test_partially_zero_kernels_keep_the_structure(shuffle):
    weight = pruned(64, 64, block_n=16, density=0.5, taps=3, shuffle=shuffle)
    weight *= np.random.default_rng(1).random(weight.shape) < 0.7
    found = check(weight, find_structure(weight))
    assert (found.by_tap, found.block_n, found.aligned) == (False, 16, not shuffle)
    assert 0.2 < found.fill < 0.4


@pytest.mark.parametrize("shuffle", [False, True])
def test_dead_output_channels_keep_the_structure(shuffle):
    weight = pruned(256, 128, block_n=16, density=0.4, shuffle=shuffle)
    weight[[3, 17, 40, 200]] = 0
    found = check(weight, find_structure(weight))
    assert (found.block_n, found.aligned) == (16, not shuffle)
    assert found.density == pytest.approx(0.4, abs=0.02)


def test_many_dead_output_channels_fill_the_holes_of_rearranged_rows():
    weight = pruned(1024, 256, block_n=16, density=0.25, shuffle=True)
    kept = np.count_nonzero(weight)
    weight[np.random.default_rng(1).permutation(1024)[:40]] = 0
    found = check(weight, find_structure(weight))
    assert (found.block_n, found.aligned) == (16, False)
    assert found.nnzb * 16 <= kept


def test_kernels_lost_to_rounding_keep_a_rearranged_structure():
    weight = pruned(512, 256, block_n=16, density=0.25, shuffle=True)
    blocks = np.count_nonzero(weight) // 16
    weight *= np.random.default_rng(1).random(weight.shape) < 0.99
    found = check(weight, find_structure(weight))
    assert (found.block_n, found.aligned) == (16, False)
    assert found.nnzb <= blocks


def test_dead_input_channel_is_a_zero_block_of_every_row():
    weight = pruned(64, 32, block_n=1, density=2)
    weight[:, 7] = 0
    found = check(weight, find_structure(weight))
    assert (found.block_n, found.aligned, found.uniform) == (32, True, True)
    assert found.density == 31 / 32


@pytest.mark.parametrize(("oc", "block_n"), [(1, 1), (3, 4), (4, 4), (64, 32)])
def test_all_zero(oc, block_n):
    weight = np.zeros((oc, 8, 3, 3), np.float32)
    found = check(weight, find_structure(weight))
    assert found.all_zero
    assert (found.block_n, found.nnzb, found.cost, found.fill) == (block_n, 0, 0, 0)
    assert found.empty_rows == found.rows


def test_empty_rows_are_counted():
    weight = pruned(64, 64, block_n=8, density=0.5)
    weight[8:24] = 0
    assert check(weight, find_structure(weight)).empty_rows == 2


@pytest.mark.parametrize(("oc", "block_n"), [(1, 1), (2, 2), (3, 4), (5, 2), (12, 4), (24, 8), (1000, 16)])
def test_filled_slots_are_paid_for(oc, block_n):
    weight = np.ones((oc, 4, 1, 1), np.float32)
    assert check(weight, find_structure(weight)).block_n == block_n


def test_shorter_last_row():
    weight = pruned(1000, 64, block_n=16, density=0.4)
    found = check(weight, find_structure(weight))
    assert (found.block_n, found.aligned, found.rows) == (16, True, 63)


def test_classes_of_several_rows_still_fit_smaller_rows():
    weight = pruned(96, 64, block_n=32, density=0.4, shuffle=True)
    assert check(weight, find_structure(weight, max_n=8)).block_n == 8
    assert find_structure(weight).block_n == 32


def test_odd_numbers_are_counted_and_kept():
    weight = pruned(32, 32, block_n=8, density=0.5)
    kept = np.argwhere(weight[:, :, 0, 0])
    for value, (row, column) in zip([np.nan, np.inf, -np.inf, 1e-40, -1e-45], kept, strict=False):
        weight[row, column] = value
    found = check(weight, find_structure(weight))
    assert (found.non_finite, found.denormal, found.block_n, found.fill) == (3, 2, 8, 0)


def test_denormals_survive_flush_to_zero():
    torch = pytest.importorskip("torch")
    weight = np.full((4, 4, 1, 1), 1e-40, np.float32)
    flushes = torch.set_flush_denormal(True)
    try:
        found = find_structure(weight)
    finally:
        torch.set_flush_denormal(False)
    assert flushes is not None
    assert (found.denormal, found.all_zero, found.nnzb) == (16, False, 4)


def test_more_patterns_than_can_be_compared(monkeypatch):
    monkeypatch.setattr("sparsecc.analyse.rearrange.MAX_PATTERNS", 8)
    weight = pruned(64, 64, block_n=2, density=0.5, shuffle=True)
    weight *= np.random.default_rng(1).random(weight.shape) < 0.99
    check(weight, find_structure(weight))


def test_wide_layer_is_compared_on_a_sample_of_its_inputs():
    weight = pruned(64, 5000, block_n=8, density=0.3, shuffle=True)
    weight *= np.random.default_rng(1).random(weight.shape) < 0.99
    assert check(weight, find_structure(weight)).block_n == 8


def test_same_weight_same_answer():
    weight = pruned(256, 128, block_n=4, density=0.5, shuffle=True)
    assert find_structure(weight).to_json() == find_structure(weight.copy(order="F")).to_json()


def test_wrong_arguments():
    weight = np.ones((4, 4, 1, 1), np.float32)
    with pytest.raises(UserError, match="max_n"):
        find_structure(weight, max_n=65)
    with pytest.raises(InternalError, match="groups"):
        find_structure(weight, groups=3)
    with pytest.raises(InternalError, match="float32"):
        find_structure(weight.astype(np.float64))


@pytest.mark.parametrize("block_n", [16, 1])
def test_large_layers_are_analysed_by_numpy(block_n):
    """Python's work grows with the output channels, not with the weights: there are 512 times as many."""
    weight = pruned(2048, 512, block_n=block_n, density=0.25, shuffle=True)
    assert lines_run(lambda: find_structure(weight)) < 16 * 2048
