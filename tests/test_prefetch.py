"""Weights that stream by are asked for ahead of their use, and results stay the same."""

from __future__ import annotations

import pytest
from cases import BY_NAME, build
from helpers import RUNNABLE, Job, compiled, run_jobs
from numpy.testing import assert_array_equal
from torch import nn, randn

from sparsecc.cost.prefetch import prefetch_distance
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.layer import ConvLayer
from sparsecc.target import TARGETS

TARGET = TARGETS["x86-64-v4"]
POINTWISE = ConvSpec(1, 512, 7, 7, 2048)


def test_only_pointwise_layers_with_large_weights():
    assert prefetch_distance(POINTWISE, 4 * 512 * 2048, TARGET) > 0
    assert prefetch_distance(POINTWISE, TARGET.l2_bytes // 4, TARGET) == 0
    assert prefetch_distance(ConvSpec(1, 512, 7, 7, 512, 3, 3), 4 * 512 * 512 * 9, TARGET) == 0


@pytest.mark.parametrize(("ic", "prefetches"), [(512, True), (32, False)])
def test_code(ic, prefetches, tmp_path, monkeypatch):
    monkeypatch.setattr("sparsecc.rewrite.lower_conv.lane_config", lambda spec, **options: None)
    layer = nn.Conv2d(ic, 256, 1, bias=False)
    compiled(layer, (randn(1, ic, 7, 7),), dump=tmp_path)
    assembly = (tmp_path / "7_kernels.s").read_text()
    assert ("prefetcht0" in assembly) == prefetches


@pytest.mark.parametrize("target", RUNNABLE)
def test_results_are_the_same(target):
    """At the end of the weights, too, where there is nothing to ask for."""
    cases = [BY_NAME[name] for name in ("1x1", "dense_1x1", "n2", "rearranged_uniform", "oc_not_divisible", "3x3")]
    patches = (("sparsecc.rewrite.lower_conv.prefetch_distance", lambda spec, nbytes, target: 512),)
    jobs = []
    for case in cases:
        arrays = build(case)
        layer = ConvLayer(case.name, case.name, case.spec, arrays.weight, arrays.bias)
        jobs.append(Job(layer, (arrays.x,), arrays.blocks.grouping, patches=patches))
    for case, found in zip(cases, run_jobs(jobs, target=target), strict=True):
        assert_array_equal(found, build(case).y, err_msg=case.name)
