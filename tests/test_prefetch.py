"""Weights that stream by are asked for ahead of their use, and results stay the same."""

from __future__ import annotations

import pytest
from cases import BY_NAME, build
from helpers import RUNNABLE, Job, compiled, run_jobs
from numpy.testing import assert_array_equal
from torch import nn, randn

from sparsecc.ir.layer import ConvLayer
from sparsecc.lower import direct as lower_conv
from sparsecc.lower.cost.prefetch import prefetch_distance
from sparsecc.target import TARGETS

TARGET = TARGETS["x86-64-v4"]


def test_only_large_weights():
    assert prefetch_distance(4 * 512 * 2048, TARGET) > 0
    assert prefetch_distance(TARGET.l2_bytes // 4, TARGET) == 0


@pytest.mark.parametrize(("ic", "prefetches"), [(512, True), (32, False)])
@pytest.mark.parametrize("kernel", ["direct", "channel_lanes"])
def test_code(kernel, ic, prefetches, tmp_path, monkeypatch):
    if kernel == "direct":
        monkeypatch.setattr(lower_conv, "lane_config", lambda spec, **options: None)
    else:
        monkeypatch.setattr(lower_conv, "predict_lanes", lambda *args: 0.0)
        monkeypatch.setattr(lower_conv, "dense_block_sizes", lambda spec: [16])
    layer = nn.Conv2d(ic, 256, 1, bias=False)
    artefact = compiled(layer, (randn(1, ic, 7, 7),), target="x86-64-v4", dump=tmp_path)
    assert kernel in {step["kind"] for step in artefact.report.steps}
    assembly = (tmp_path / "14_build.s").read_text()
    assert ("prefetcht0" in assembly) == prefetches


@pytest.mark.parametrize("target", RUNNABLE)
def test_results_are_the_same(target):
    """At the end of the weights, too, where there is nothing to ask for."""
    cases = [BY_NAME[name] for name in ("1x1", "dense_1x1", "n2", "rearranged_uniform", "oc_not_divisible", "3x3")]
    patches = (("sparsecc.lower.direct.prefetch_distance", lambda nbytes, target, taps: 512),)
    jobs = []
    for case in cases:
        arrays = build(case)
        layer = ConvLayer(case.name, case.name, case.spec, arrays.weight, arrays.bias)
        jobs.append(Job(layer, (arrays.x,), arrays.blocks.grouping, patches=patches))
    for case, found in zip(cases, run_jobs(jobs, target=target), strict=True):
        assert_array_equal(found, build(case).y, err_msg=case.name)
