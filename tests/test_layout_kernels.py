"""Kernels in all layouts, alone and in networks that mix them."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from cases import Case, build, case_grouping
from helpers import Job, agree, run_jobs
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_case import NO_HALO, ONE, convolutions
from random_nets import random_net

from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower import direct as lower_conv
from sparsecc.lower.cost.direct import DirectWork
from sparsecc.lower.cost.direct_space import direct_space
from sparsecc.target import Target


@st.composite
def jobs(draw: st.DrawFn) -> tuple[Job, np.ndarray]:
    """A convolution with anything around it, and what it should give."""
    spec = draw(convolutions(largest=12))
    block_n = draw(st.sampled_from([1, 2, 3, 4, 8]))
    name = f"{spec}{block_n}"
    case = Case(name, spec, block_n, draw(st.sampled_from([0.2, 0.5, 1.0])), draw(st.booleans()), draw(st.booleans()))
    arrays, halo = build(case), draw(st.sampled_from([None, NO_HALO, ONE, (0, 2, 1, 0), (3, 1, 0, 4)]))
    bias = np.zeros(spec.oc, np.float32) if arrays.bias is None else arrays.bias
    layer = ConvLayer("layer", "layer", spec, arrays.weight, bias)
    rows = case_grouping(case, rng=np.random.default_rng(0)) if draw(st.booleans()) else None
    place_of_sum = draw(st.sampled_from(["none", "before", "after"]))
    act = draw(st.sampled_from([None, Activation("relu"), Activation("clip", (-1.0, 1.0))]))
    y, other = arrays.y, np.roll(arrays.y, 1, axis=1)
    y = y + other if place_of_sum == "before" else y
    y = y if act is None else np.clip(y, 0 if act.kind == "relu" else -1, np.inf if act.kind == "relu" else 1)
    y = y + other if place_of_sum == "after" else y
    inputs = (arrays.x,) if place_of_sum == "none" else (arrays.x, other)
    top, left, bottom, right = halo or NO_HALO
    expected = np.pad(y, ((0, 0), (0, 0), (top, bottom), (left, right)))
    return Job(layer, inputs, rows, None, halo, Epilogue(act, place_of_sum)), expected


def wrong(batch: list[tuple[Job, np.ndarray]]) -> list[str]:
    found = run_jobs([job for job, _ in batch])
    return [str(job.layer.spec) for (job, want), y in zip(batch, found, strict=True) if not np.array_equal(y, want)]


@settings(max_examples=12)
@given(batch=st.lists(jobs(), min_size=6, max_size=6))
def test_any_convolution_is_exact(batch: list[tuple[Job, np.ndarray]]) -> None:
    assert wrong(batch) == []


@settings(max_examples=8)
@given(batch=st.lists(jobs(), min_size=6, max_size=6), seed=st.integers(0, 99))
def test_any_convolution_is_exact_tile_by_tile(batch: list[tuple[Job, np.ndarray]], seed: int) -> None:
    """Wherever a tile can have all rows of blocks first, results that are moved apart in their planes included."""
    best = lower_conv.best_config

    def tile_by_tile(work: DirectWork, target: Target) -> DirectConfig:
        configs = [config for config in direct_space(work, target) if not config.rows_outer]
        return configs[seed % len(configs)] if configs else best(work, target)

    with patch.object(lower_conv, "best_config", tile_by_tile):
        assert wrong(batch) == []


@pytest.mark.parametrize("seed", range(10))
def test_random_network(seed: int) -> None:
    net = random_net(seed, steps=12)
    agree(net, net.shapes[0], tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_larger_random_network(seed: int) -> None:
    net = random_net(seed, steps=20)
    agree(net, net.shapes[0], tolerance=1e-4)
