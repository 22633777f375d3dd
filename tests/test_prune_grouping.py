"""Groupings of output channels: valid, as good as they say, never worse than sorting, near the best."""

from __future__ import annotations

import itertools

import nets
import numpy as np
import prune_reference as reference
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nets.patterns import prunable_layers

from sparsecc import prune
from sparsecc.prune import group_channels


def kept_norm(norms, order, n, sparsity):
    """Share of norm that the 1xN rule keeps with rows in this order, by the reference."""
    rows = reference.rows_of(len(norms), n, 1, np.asarray(order))
    mask = reference.one_by_n(norms.reshape(*norms.shape, 1), rows, sparsity)
    return float((norms * mask).sum() / norms.sum())


@given(st.integers(1, 30), st.integers(1, 12), st.sampled_from([1, 2, 3, 4, 6, 16]), st.sampled_from([0.0, 0.5, 0.9]))
@settings(max_examples=60)
def test_groupings_are_permutations_and_keep_what_they_say(oc, ic, n, sparsity):
    norms = torch.rand(oc, ic, generator=torch.Generator().manual_seed(oc * ic))
    found = {method: group_channels(norms, n, sparsity, method=method) for method in ("none", "sort", "cluster")}
    for grouping in found.values():
        assert sorted(grouping.order.tolist()) == list(range(oc))
        assert grouping.kept == pytest.approx(kept_norm(norms.double().numpy(), grouping.order, n, sparsity), abs=1e-5)
    assert found["none"].order.tolist() == list(range(oc))
    assert found["sort"].order.tolist() == norms.sum(1).argsort(descending=True, stable=True).tolist()
    assert found["cluster"].kept >= found["sort"].kept


def test_channels_that_belong_together_find_each_other():
    generator = torch.Generator().manual_seed(0)
    patterns = (torch.rand(16, 64, generator=generator) < 0.25).float()
    norms = patterns.repeat_interleave(8, 0)[torch.randperm(128, generator=generator)]
    norms = norms * torch.rand(128, 64, generator=generator) + 0.01 * torch.rand(128, 64, generator=generator)
    best = float(norms.masked_fill(norms < 0.01, 0).sum() / norms.sum())
    density = float(patterns.mean())
    assert group_channels(norms, 8, 1 - density, method="sort").kept < 0.8 * best
    assert group_channels(norms, 8, 1 - density).kept > 0.98 * best


def test_it_is_near_the_best_of_all_groupings():
    ratios = []
    for seed in range(10):
        norms = torch.rand(8, 6, generator=torch.Generator().manual_seed(seed)).square()
        best = max(kept_norm(norms.double().numpy(), order, 4, 0.5) for order in halves(8))
        ratios.append(group_channels(norms, 4, 0.5).kept / best)
    assert np.mean(ratios) > 0.98
    assert max(ratios) <= 1 + 1e-6


def halves(count):
    """Every way to cut channels into two rows."""
    for rest in itertools.combinations(range(1, count), count // 2 - 1):
        row = (0, *rest)
        yield [*row, *(channel for channel in range(count) if channel not in row)]


def test_equal_norms_end():
    for norms in (torch.ones(12, 5), torch.zeros(12, 5)):
        assert group_channels(norms, 4, 0.5).kept == group_channels(norms, 4, 0.5, method="sort").kept


def test_masks_follow_the_grouping():
    model = torch.nn.Sequential(torch.nn.Conv2d(12, 32, 3))
    weight = model[0].weight.detach().clone()
    pruner = prune.OneByN(4, 0.75, rearrange="cluster", layers=["0"])
    pruner.apply(model)
    norms = weight.abs().sum((2, 3))
    grouping = group_channels(norms, 4, 0.75)
    kept = model[0].parametrizations.weight[0].mask[:, :, 0, 0]
    rows = kept[grouping.order].reshape(8, 4, 12)
    assert (rows.all(1) == rows.any(1)).all()
    assert float((norms * kept).sum() / norms.sum()) == pytest.approx(grouping.kept)


def layers_of(name, *, trained):
    """Norms of kernels of every layer that is pruned; equal shapes once."""
    torch.manual_seed(1)
    model = nets.NETS[name]()
    if trained:
        nets.randomise(model)
    weights = {layer: model.get_submodule(layer).weight.detach() for layer in prunable_layers(model)}
    return {layer: weight.abs().sum((2, 3)) for layer, weight in weights.items()}


@pytest.mark.slow
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2"])
def test_clusters_keep_at_least_what_sorting_keeps_in_every_layer(name, trained):
    for layer, norms in layers_of(name, trained=trained).items():
        for n, sparsity in ((4, 0.75), (16, 0.5), (16, 0.9)):
            by_norm = group_channels(norms, n, sparsity, method="sort").kept
            clustered = group_channels(norms, n, sparsity)
            assert clustered.kept >= by_norm, layer
            assert sorted(clustered.order.tolist()) == list(range(len(norms)))


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2"])
def test_clusters_keep_more_in_some_layers_of_each_size(name):
    small = {norms.shape: norms for norms in layers_of(name, trained=True).values() if norms.numel() <= 2**17}
    assert len(small) > 5
    gains = [group_channels(x, 16, 0.9).kept / group_channels(x, 16, 0.9, method="sort").kept for x in small.values()]
    assert min(gains) >= 1
    assert np.mean(gains) > 1.01
