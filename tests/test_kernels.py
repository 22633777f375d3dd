"""Every kernel against the NumPy reference, bit for bit, over the shared cases, configs, targets and thread counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from case_modules import SideBySide, inputs_of
from cases import BY_NAME, CASES, Case, build
from helpers import RUNNABLE, run_strictly

from sparsecc.lower import direct as lower_conv
from sparsecc.lower.cost.channel_lanes import lane_config
from sparsecc.lower.cost.direct import DirectWork
from sparsecc.lower.cost.direct_space import direct_space
from sparsecc.options import Options
from sparsecc.pipeline import run
from sparsecc.target import resolve

BATCH = 11
BATCHES = [CASES[start : start + BATCH] for start in range(0, len(CASES), BATCH)]
#: a layer becomes sparse as soon as it has a block to skip
ALWAYS = 1e-9


def compiled(cases: list[Case], target: str, **options):
    # Winograd's sums are not exact: test_winograd.py
    options = {"winograd": False, **options}
    artefact, _ = run(SideBySide(cases).eval(), inputs_of(cases), resolve(target), Options(**options), progress=str)
    return artefact


def check(cases: list[Case], artefact) -> None:
    results = run_strictly(artefact, inputs_of(cases))
    for case, found in zip(cases, results, strict=True):
        np.testing.assert_array_equal(found, build(case).y, err_msg=case.name)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("cases", BATCHES, ids=lambda cases: cases[0].name)
def test_sparse(cases, target):
    artefact = compiled(cases, target, min_speedup=ALWAYS)
    check(cases, artefact)
    plans = [layer for layer in artefact.report.plan.layers if layer.structure]
    assert all(layer.decision == "sparse" for layer in plans if layer.structure.has_zero_blocks)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("cases", BATCHES, ids=lambda cases: cases[0].name)
def test_dense(cases, target):
    artefact = compiled(cases, target, keep_dense=["*"])
    check(cases, artefact)
    assert all(layer.decision == "dense" for layer in artefact.report.plan.layers)


def test_case_finds_its_block_size():
    plan = compiled([BY_NAME[n] for n in ("n1", "n2", "n4", "n8", "n16", "n32")], "native").report.plan
    assert [layer.structure.block_n for layer in plan.layers] == [1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", ["n16", "n2", "3x3", "3x3_stride_2", "image_7x7", "oc_not_divisible", "odd_image"])
def test_every_config(name, target, monkeypatch):
    """Configs that the cost model would not choose must be right too: the tuner will try them."""
    monkeypatch.setattr(lower_conv, "lane_config", lambda spec, **options: None)
    work, chosen = [], []
    best = lower_conv.best_config
    monkeypatch.setattr(lower_conv, "best_config", lambda w, t: work.append(w) or best(w, t))
    compiled([BY_NAME[name]], target, min_speedup=ALWAYS)
    space = list(direct_space(work[-1], resolve(target)))
    sample = list(islice(space, 0, None, max(1, len(space) // 20)))
    configs = iter(sample)
    monkeypatch.setattr(lower_conv, "best_config", lambda w, t: chosen.append(next(configs)) or chosen[-1])
    cases = [BY_NAME[name]] * len(sample)
    check(cases, compiled(cases, target, min_speedup=ALWAYS))
    assert chosen == sample
    assert len({(c.lanes, c.vectors, c.reg_n, c.rows_outer, c.singles) for c in sample}) == len(sample)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(
    ("cases", "sparse"),
    [*((cases, True) for cases in BATCHES), *((cases, False) for cases in BATCHES[::3])],
    ids=lambda value: value[0].name if isinstance(value, list) else "sparse" if value else "dense",
)
def test_runs_of_input_channels(cases, sparse, target, monkeypatch):
    """Sums wait in the output, wherever input channels can be cut into runs."""
    best, cut = lower_conv.best_config, []

    def in_runs(work, target):
        config = best(work, target)
        chunks = next((n for n in (4, 2) if work.ic % n == 0), 1)
        if work.groups > 1 or work.staged or work.joined or chunks == 1:
            return config
        cut.append(chunks)
        return replace(config, rows_outer=False, singles=0, chunks=chunks)

    monkeypatch.setattr(lower_conv, "lane_config", lambda spec, **options: None)
    monkeypatch.setattr(lower_conv, "best_config", in_runs)
    monkeypatch.setattr(lower_conv, "dense_block_sizes", lambda spec: [min(4, spec.oc_per_group)])
    options = {"min_speedup": ALWAYS} if sparse else {"keep_dense": ["*"]}
    check(cases, compiled(cases, target, **options))
    assert cut


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("sparse", [True, False])
def test_tiles_are_copied(sparse, target, monkeypatch):
    """Copies of tiles, in runs of input channels and in one, with single pixels and without."""
    best, copied = lower_conv.best_config, []

    def from_a_copy(work, target):
        packed = [config for config in direct_space(work, target) if config.packed]
        if not packed:
            return best(work, target)
        copied.append(packed[(7 * work.ic + work.flat) % len(packed)])
        return copied[-1]

    monkeypatch.setattr(lower_conv, "lane_config", lambda spec, **options: None)
    monkeypatch.setattr(lower_conv, "best_config", from_a_copy)
    cases = [case for case in CASES if case.spec.taps == 1 and case.spec.groups == 1]
    for batch in range(0, len(cases), 8):
        options = {"min_speedup": ALWAYS} if sparse else {"keep_dense": ["*"]}
        check(cases[batch : batch + 8], compiled(cases[batch : batch + 8], target, **options))
    assert len({(config.vectors, config.chunks) for config in copied}) > 1


def test_no_sums_wait_in_the_output_for_a_repeated_channel():
    """The last row of six channels by four repeats one: two sums would be kept in one place."""
    work = DirectWork(1, 784, 784, 512, 1, 1, 2, 4, 256, repeats=True)
    configs = list(direct_space(work, resolve("x86-64-v3")))
    assert configs
    assert {config.chunks for config in configs} == {1}
    assert {config.chunks for config in direct_space(replace(work, repeats=False), resolve("x86-64-v3"))} > {1, 2}


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("cases", BATCHES, ids=lambda cases: cases[0].name)
def test_channels_as_lanes(cases, sparse, target, monkeypatch):
    """The kernel with channels as the vector, wherever it can run."""
    lanes = resolve(target).lanes
    sizes = lower_conv.dense_block_sizes
    monkeypatch.setattr(lower_conv, "predict_lanes", lambda *args: 0.0)
    monkeypatch.setattr(
        lower_conv, "dense_block_sizes", lambda spec: [lanes] if spec.oc_per_group >= lanes else sizes(spec)
    )
    artefact = compiled(cases, target, **({"min_speedup": ALWAYS} if sparse else {"keep_dense": ["*"]}))
    check(cases, artefact)
    eligible = [
        layer
        for layer in artefact.report.plan.layers
        if layer.decision == "dense"
        and layer.kind == "conv"
        and layer.spec.oc_per_group >= lanes
        and lane_config(layer.spec, block_n=lanes, target=resolve(target))
    ]
    kinds = [step["kind"] for step in artefact.report.steps]
    assert not eligible or "channel_lanes" in kinds
