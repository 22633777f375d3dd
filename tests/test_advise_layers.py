"""Curves of layers: times and bounds agree with the advisor's own table."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from advise_case import PRUNABLE, TARGET

from sparsecc.advice.advise import SPARSITIES
from sparsecc.advice.network import Network
from sparsecc.advice.sweep import layer_curve
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import ConvLayer
from sparsecc.options import Options
from sparsecc.target.records.scale import Scale


def test_advice_covers_the_layers_that_can_be_pruned(advice):
    assert [layer.name for layer in advice.layers] == PRUNABLE
    assert [net.n for net in advice.nets] == [4, 16]
    assert advice.sparsities == SPARSITIES
    assert list(advice.bounds(4)) == PRUNABLE


def test_times_do_not_rise_beyond_the_lower_bound(advice):
    for layer in advice.layers:
        for curve in layer.curves:
            beyond = [point.sparse_us for point in curve.points if point.sparsity >= curve.bounds.lower]
            # other configs and caches make small steps
            assert all(after <= before * 1.02 for before, after in pairwise(beyond)), (layer.name, curve.n)


def test_bounds_agree_with_the_table(advice):
    for layer in advice.layers:
        for curve in layer.curves:
            lower, upper = curve.bounds.lower, curve.bounds.upper
            assert 0 <= lower <= 1
            assert 0 <= upper <= 1
            for point in curve.points:
                if point.sparsity > lower:
                    assert point.sparse_us <= layer.dense_us
                assert point.bound == ("memory" if point.sparsity >= upper else "compute") or point.sparsity < upper
                assert point.us == (point.sparse_us if point.is_sparse else layer.dense_us)
            below = [point for point in curve.points if point.sparsity <= lower - 1 / 256]
            assert not below or below[-1].sparse_us >= layer.dense_us * 0.98


def curve_of(spec: ConvSpec, n: int = 4):
    weight = np.zeros(spec.weight_shape, np.float32)
    layer = ConvLayer("a", "a", spec, weight, np.zeros(spec.oc, np.float32))
    planner = Network.planner_of([layer], {"a"}, TARGET, Options(winograd=False))
    return layer_curve([layer], n=n, sparsities=SPARSITIES, planner=planner, scale=Scale(3.0))


def test_a_layer_of_little_work_has_the_lower_upper_bound():
    few = curve_of(ConvSpec(n=1, ic=16, ih=112, iw=112, oc=96))
    many = curve_of(ConvSpec(n=1, ic=256, ih=14, iw=14, oc=256, kh=3, kw=3, padding=(1, 1, 1, 1)))
    assert few.bounds.upper < many.bounds.upper - 0.1
    assert many.bounds.potential
    assert {point.bound for point in few.points if point.sparsity >= 0.9} == {"memory"}
    assert {point.bound for point in many.points} == {"compute"}


def test_compute_takes_as_long_as_memory_at_the_upper_bound():
    spec = ConvSpec(n=1, ic=32, ih=56, iw=56, oc=64)
    upper = curve_of(spec).bounds.upper
    weight = np.zeros(spec.weight_shape, np.float32)
    layer = ConvLayer("a", "a", spec, weight, np.zeros(spec.oc, np.float32))
    planner = Network.planner_of([layer], {"a"}, TARGET, Options())
    around = (0.0, upper - 0.01, upper + 0.01)
    points = layer_curve([layer], n=4, sparsities=around, planner=planner, scale=Scale(3.0)).points
    assert [point.bound for point in points] == ["compute", "compute", "memory"]


def test_calls_of_one_layer_add_up():
    spec = ConvSpec(n=1, ic=64, ih=14, iw=14, oc=64)
    layer = ConvLayer("a", "a", spec, np.zeros(spec.weight_shape, np.float32), np.zeros(64, np.float32))
    planner = Network.planner_of([layer], {"a"}, TARGET, Options())
    one, two = (
        layer_curve([layer] * count, n=4, sparsities=SPARSITIES, planner=planner, scale=Scale(3.0)) for count in (1, 2)
    )
    assert [point.us for point in two.points] == pytest.approx([2 * point.us for point in one.points])
    assert one.bounds == two.bounds
