"""The benchmark's arithmetic: statistics, errors, work, and limits of size."""

from __future__ import annotations

from dataclasses import replace

import nets
import numpy as np
import pytest
import torch
from torch import nn

from bench.cells.work import count_work
from bench.results.schema import Cell
from bench.results.stats import drift, quantile, spread
from bench.running.worker import largest_error
from bench.studies.size_and_build import Built

# --- statistics ----------------------------------------------------------------------------------------------------


def test_spread_of_known_values():
    found = spread([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.median, found.count) == (3.0, 5)
    assert (found.p10, found.p90) == (pytest.approx(1.4), pytest.approx(4.6))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 10), (0.5, 20), (0.75, 25), (1.0, 30)])
def test_quantile_interpolates(share, expected):
    assert quantile([30, 10, 20], share) == expected


def test_drift_tells_a_step_from_noise():
    assert drift([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]) == pytest.approx(1 / 1.5)
    assert drift([1.0, 2.0, 1.0, 1.0, 2.0, 1.0]) == 0
    assert drift([7.0]) == 0


def test_spread_of_one_value_and_of_none():
    assert spread([2.0]).p10 == spread([2.0]).p90 == 2.0
    with pytest.raises(ValueError, match="no values"):
        spread([])


# --- correctness, work and size ------------------------------------------------------------------------------------


def test_error_is_relative_to_the_largest_output():
    expected = [np.array([[1.0, -4.0]], np.float32)]
    assert largest_error([np.array([[1.5, -4.0]], np.float32)], expected) == pytest.approx(0.125)
    assert largest_error([np.array([[np.nan, -4.0]], np.float32)], expected) is None
    with pytest.raises(ValueError, match="shape"):
        largest_error([np.zeros(2, np.float32)], expected)


def test_work_is_counted_from_the_weights():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 1), nn.Flatten(), nn.Linear(8 * 4 * 4, 5))
    masks = nets.impose_1xn(model, 4, 0.75, include=["1"])
    found = count_work(model, torch.ones(1, 3, 6, 6), masks, n=4)
    dense, linear = 16 * 8 * 27, 128 * 5
    assert found.dense_macs == dense + 16 * 64 + linear == nets.multiply_adds(model, torch.ones(1, 3, 6, 6))
    assert found.kept_macs == dense + 16 * 16 + linear
    # four blocks are left of 2 rows x 8 input channels
    assert found.kept_bytes == 4 * (8 * 27 + 16 + linear) + 4 * 4


def test_size_limits():
    built = Built(Cell("resnet50", 16, 0.75), seconds=61, peak_bytes=10, library_bytes=2_000_000, kept_bytes=1_000_000)
    assert built.allowed_bytes == 1_350_000
    assert len(built.failures) == 2
    assert not replace(built, seconds=59, library_bytes=1_350_000).failures
