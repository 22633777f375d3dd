"""Masks of every pruner against the NumPy reference of its paper's rule."""

from __future__ import annotations

import numpy as np
import prune_reference as reference
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sparsecc import prune
from sparsecc.prune.criteria import redundancy
from sparsecc.prune.ramp import RAMPS, ramp

RATES = (0.0, 0.1, 0.29, 0.5, 0.7, 0.75, 0.9, 0.99)


@st.composite
def convs(draw):
    """A convolution, its N and a rate; groups, and channels that N does not divide, among them."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    oc, ic = draw(st.integers(1, 20)), draw(st.integers(2, 9))
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (1, 5)]))
    torch.manual_seed(draw(st.integers(0, 99)))
    conv = nn.Conv2d(ic * groups, oc * groups, kernel, groups=groups)
    return conv, draw(st.sampled_from([1, 2, 4, 7, 16])), draw(st.sampled_from(RATES))


def mask_of(pruner, layer, epoch=0):
    """The mask that a pruner puts on one layer, bool of the weight's shape."""
    model = nn.Sequential(layer)
    if not pruner.apply(model) or not hasattr(layer, "parametrizations"):
        return np.ones(tuple(layer.weight.shape), bool)
    pruner.step(epoch)
    shape = layer.parametrizations.weight.original.shape
    return layer.parametrizations.weight[0].mask.expand(shape).numpy()


def kernels(mask):
    """(oc, ic) of a mask whose kernels are kept or pruned as a whole."""
    flat = mask.reshape(*mask.shape[:2], -1)
    assert (flat.all(axis=2) == flat.any(axis=2)).all()
    return flat.any(axis=2)


@given(convs(), st.sampled_from(["l1", "l2"]))
@settings(max_examples=60)
def test_one_by_n(case, norm):
    conv, n, rate = case
    weight = conv.weight.detach().double().numpy()
    found = kernels(mask_of(prune.OneByN(n, rate, norm=norm, layers=["0"]), conv))
    rows = reference.rows_of(len(weight), n, conv.groups)
    np.testing.assert_array_equal(found, reference.one_by_n(weight, rows, rate, norm))
    blocks = sum(found[row].all(axis=0).sum() for row in rows)
    assert blocks == len(rows) * weight.shape[1] - reference.floor_share(rate, len(rows) * weight.shape[1])


@given(convs())
@settings(max_examples=40)
def test_one_by_n_rearranged(case):
    conv, n, rate = case
    weight = conv.weight.detach().double().numpy()
    found = kernels(mask_of(prune.OneByN(n, rate, rearrange=True, layers=["0"]), conv))
    rows = reference.rows_of(len(weight), n, conv.groups, reference.sorted_order(weight, conv.groups))
    np.testing.assert_array_equal(found, reference.one_by_n(weight, rows, rate))


def test_one_by_n_of_transposed_convolutions():
    conv = nn.ConvTranspose2d(6, 8, 2, groups=2)
    found = mask_of(prune.OneByN(4, 0.5, layers=["0"]), conv)
    # the same filters as an ordinary convolution has them
    turned = conv.parametrizations.weight.original.detach().numpy().reshape(2, 3, 4, 2, 2).swapaxes(1, 2)
    expected = reference.one_by_n(turned.reshape(8, 3, 2, 2), reference.rows_of(8, 4, 2), 0.5)
    assert found.shape == (6, 4, 2, 2)
    np.testing.assert_array_equal(kernels(found).reshape(2, 3, 4).swapaxes(1, 2).reshape(8, 3), expected)


def test_one_by_n_over_all_layers():
    model = nn.Sequential(nn.Conv2d(8, 16, 3), nn.Conv2d(16, 10, 1), nn.Linear(10, 12))
    with torch.no_grad():
        model[2].weight *= 0.001
    weights = [layer.weight.detach().double().numpy() for layer in model]
    prune.OneByN(4, 0.5, scope="global", layers=["*"]).apply(model)
    blocks = [
        (reference.block_norm(w[row, c], "l1") / w[0, 0].size, w[row, c].size, i, row, c)
        for i, w in enumerate(weights)
        for row in reference.rows_of(len(w), 4, 1)
        for c in range(w.shape[1])
    ]
    # the last layer is far below all others; its best block stays
    best = max(block for block in blocks if block[2] == 2)
    budget, expected = sum(b[1] for b in blocks) // 2, [np.ones(w.shape[:2], bool) for w in weights]
    for _, size, i, row, c in sorted(set_aside(blocks, best)):
        if (budget := budget - size) < 0:
            break
        expected[i][row, c] = False
    for layer, mask in zip(model, expected, strict=True):
        np.testing.assert_array_equal(layer.parametrizations.weight[0].mask.numpy().reshape(mask.shape), mask)
    assert model[2].parametrizations.weight[0].mask.sum() == 4
    assert 0.48 < prune.report(model).sparsity <= 0.5


def set_aside(blocks, best):
    return [block[:3] + (tuple(block[3]), block[4]) for block in blocks if block is not best]


def test_layers_with_rates_of_their_own_do_not_compete():
    model = nn.Sequential(nn.Conv2d(8, 16, 3), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1))
    pruner = prune.OneByN(4, 0.5, scope="global", layers=["*"], rates={"2": 0.75, "0": 0.0})
    pruner.apply(model)
    assert pruner.sparsities() == {"1": 0.5, "2": 0.75}


@given(convs(), st.sampled_from(["bpar", "l1", "l2"]), st.integers(0, 4), st.sampled_from([0.5, 1.0, 3.0]))
@settings(max_examples=60)
def test_subp(case, criterion, epoch, factor):
    conv, n, rate = case
    weight = conv.weight.detach().double().numpy()
    if criterion == "bpar" and min(n, weight.shape[0] // conv.groups) * weight[0, 0].size == 1:
        criterion = "l1"  # blocks of one weight are all parallel: nothing to tell them apart but rounding
    noise = torch.rand((-(-len(weight) // conv.groups // n) * conv.groups, weight.shape[1]), generator=seeded(5))
    pruner = prune.Subp(
        n, rate, decay_start=0, decay_end=4, criterion=criterion, alpha=factor, temperature=factor, decay=0,
        schedule="linear", layers=["0"], seed=5,
    )  # fmt: skip
    found = kernels(mask_of(pruner, conv, epoch))
    rows = reference.rows_of(len(weight), n, conv.groups)
    expected = reference.subp(
        weight, rows, rate, reached=epoch / 4, uniform_noise=noise.double().numpy(), criterion=criterion, alpha=factor,
        temperature=factor,
    )  # fmt: skip
    np.testing.assert_array_equal(found, expected)


@given(convs(), st.sampled_from(list(RAMPS)))
@settings(max_examples=30)
def test_subp_keeps_the_same_number_in_every_row(case, schedule):
    conv, n, rate = case
    ic = conv.weight.shape[1]
    pruner = prune.Subp(n, rate, decay_start=1, decay_end=3, decay=0, schedule=schedule, layers=["0"])
    model = nn.Sequential(conv)
    pruner.apply(model)
    kept = []
    for epoch in range(4):
        pruner.step(epoch)
        kept.append((prune.report(model).layers[0]).per_output)
    pruned = reference.floor_share(rate, ic)
    assert kept[:2] == [(ic, ic)] * 2
    assert kept[2][0] == kept[2][1] >= kept[3][0]
    assert kept[3] == (ic - pruned, ic - pruned)
    assert (model[0].weight != 0).flatten(2).any(2).sum(1).eq(ic - pruned).all()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_what_grows_back_is_drawn_with_the_softmax_of_scores():
    conv = nn.Conv2d(4, 4096, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1))
    # three of four are pruned, one of them grows back
    pruner = prune.Subp(1, 0.75, decay_start=0, decay_end=3, schedule="linear", criterion="l1", decay=0, layers=["0"])
    found = kernels(mask_of(pruner, conv, epoch=2))
    scores = np.array([1.0, 2.0, 3.0]) / np.sqrt(14)
    expected = np.exp(scores) / np.exp(scores).sum()
    assert found[:, 3].all()
    # 5 standard deviations of a share of 4096
    np.testing.assert_allclose(found[:, :3].mean(axis=0), expected, atol=5 * 0.5 / 64)


@pytest.mark.parametrize("name", RAMPS)
def test_schedules_rise_from_start_to_end(name):
    values = [ramp(name, epoch, start=10, end=50) for epoch in range(60)]
    assert values[:11] == [0.0] * 11
    assert values[50:] == [1.0] * 10
    assert values == sorted(values)
    assert ramp(name, 0, start=0, end=0) == 1.0


def test_formulas_of_schedules():
    half = {name: ramp(name, 30, start=10, end=50) for name in RAMPS}
    expected = {"cubic": 0.125, "linear": 0.5, "exp": (1 - np.exp(-1)) / (1 - np.exp(-2)), "cos": 1 - np.sqrt(0.5)}
    assert half == pytest.approx(expected)


def test_a_block_of_zeros_is_at_a_right_angle_to_all_others():
    blocks = torch.tensor([[[1.0, 0.0], [0.0, 0.0], [-1.0, 1.0]]])
    assert redundancy(blocks)[0].tolist() == pytest.approx([0.5**0.5, 0.0, 0.5**0.5])


@given(convs(), st.sampled_from([1, 2, 3, 8, 64]))
@settings(max_examples=40)
def test_bmwm(case, size):
    conv, _, _ = case
    weight = conv.weight.detach().numpy()
    found = mask_of(prune.Bmwm(size, layers=["0"]), conv).reshape(len(weight), -1)
    matrix = weight.reshape(len(weight), -1)
    np.testing.assert_array_equal(found, [reference.block_max(row, size) for row in matrix])
    for block in reference.blocks_of(matrix.shape[1], size):
        assert (found[:, list(block)].sum(axis=1) == 1).all()


@given(convs(), st.sampled_from([4, 256]))
@settings(max_examples=60)
def test_darb(case, max_block):
    conv, _, rate = case
    weight = conv.weight.detach().numpy()
    matrix = weight.reshape(len(weight), -1)
    found = mask_of(prune.Darb(rate, max_block=max_block, layers=["0"]), conv)
    expected = reference.darb(matrix, rate, max_block) if rate else np.ones(matrix.shape, bool)
    np.testing.assert_array_equal(found.reshape(matrix.shape), expected)


def test_darb_of_kernels():
    conv = nn.Conv2d(37, 12, 3)
    norms = conv.weight.detach().abs().sum((2, 3)).numpy()
    found = kernels(mask_of(prune.Darb(0.8, unit="kernel", layers=["0"]), conv))
    np.testing.assert_array_equal(found, reference.darb(norms, 0.8))


def test_rows_choose_blocks_by_their_density():
    linear = nn.Linear(512, 4)
    with torch.no_grad():
        linear.weight *= torch.tensor([[1.0], [2.0], [8.0], [1e-6]])
    prune.Darb(0.6, layers=["0"]).apply(model := nn.Sequential(linear))
    kept = (model[0].weight != 0).sum(1).tolist()
    assert kept[3] == 512 // 256
    assert kept[3] < kept[0] <= kept[1] < kept[2]
    assert all(512 % count == 0 for count in kept)


def test_one_threshold_for_all_layers():
    model = nn.Sequential(nn.Linear(64, 8), nn.Linear(64, 8), nn.Linear(64, 8))
    with torch.no_grad():
        model[1].weight *= 0.1
    weights = [layer.weight.detach().numpy() for layer in model]
    prune.Darb(0.5, scope="global", layers=["*"], rates={"2": 0.75}).apply(model)
    both = np.concatenate(weights[:2])
    expected = [*np.split(reference.darb(both, 0.5), 2), reference.darb(weights[2], 0.75)]
    for layer, mask in zip(model, expected, strict=True):
        np.testing.assert_array_equal(layer.parametrizations.weight[0].mask.numpy(), mask)
