"""Which of the measured configs a layer gets."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_case import DIRECT, KEY, OTHER, RECORD, SPEC, by_model, choice

from sparsecc.ir.layer_key import LayerKey, bucket
from sparsecc.ir.provenance import Provenance
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower.choice import Verdict
from sparsecc.lower.config import ConvConfig
from sparsecc.target import resolve
from sparsecc.target.records.log import best_of, read_log, to_line
from sparsecc.target.records.lookup import Records, distance, find_records, of_target, shipped


def test_the_best_is_relative_to_the_cost_model_and_of_the_longest_measurement():
    lucky = replace(RECORD, us=50.0, rounds=7)
    again = replace(RECORD, us=88.0, rounds=21)
    drifted = replace(RECORD, config=OTHER, us=70.0, default_us=72.0, rounds=20)
    assert best_of([lucky, again, drifted]) == [again]
    assert best_of([lucky, drifted]) == [drifted]  # 7 rounds don't count beside 20
    assert best_of([lucky, replace(drifted, rounds=9)]) == [lucky]
    threads = replace(RECORD, threads=2)
    assert best_of([lucky, threads]) == [lucky, threads]


def test_what_was_compared_with_another_config_is_another_story():
    """Times relative to two different configs can't be compared; those of most rounds count."""
    beside_other = [replace(RECORD, us=90.0, rounds=21), replace(RECORD, config=OTHER, us=100.0, rounds=21)]
    beside_slow = replace(RECORD, config=OTHER, default=DIRECT, us=50.0, rounds=21)
    assert best_of([*beside_other, beside_slow]) == [beside_other[0]]
    assert best_of([beside_slow, replace(beside_slow, config=DIRECT, us=100.0, rounds=30), *beside_other]) == [
        beside_slow
    ]


def test_a_layer_uses_its_own_record():
    schedules = Records((RECORD,))
    chosen = schedules.choose(choice(), threads=1)
    assert chosen.config == DIRECT
    assert chosen.why == Provenance("record", "90 us on AuthenticAMD-25-1, 2026-11-21")


def test_the_record_for_as_many_threads_comes_first():
    two = replace(RECORD, threads=2, config=OTHER)
    for threads, expected in ((1, DIRECT), (2, OTHER), (4, DIRECT)):
        assert Records((two, RECORD)).choose(choice(), threads=threads).config == expected


def test_the_record_of_another_processor_must_be_plausible_on_this_one():
    """Figures of the machine tell how slow a config of a core of another kind would be here."""
    slow, fine = {OTHER: 100.0, DIRECT: 130.0}, {OTHER: 100.0, DIRECT: 120.0}
    elsewhere = Records((RECORD,), cpu="AuthenticAMD-26-2")
    assert by_model(elsewhere.choose(choice(predicted=slow), threads=1))
    assert elsewhere.choose(choice(predicted=fine), threads=1).config == DIRECT
    for cpu in (RECORD.cpu, None):  # its own, or a named target, where nothing is known of the core
        assert Records((RECORD,), cpu=cpu).choose(choice(predicted=slow), threads=1).config == DIRECT


def test_a_config_that_is_not_legal_is_not_used():
    assert by_model(Records((RECORD,)).choose(choice(predicted={OTHER: 1.0}), threads=1))


def test_a_record_that_should_fit_and_does_not_is_told():
    """A config that is odd is skipped with a word about it; one that is just not possible is skipped."""
    odd = replace(choice(), check=lambda config: Verdict(False, "TVM 9 can't replay a schedule (it is odd)"))
    chosen = Records((RECORD,)).choose(odd, threads=1)
    assert (chosen.config, chosen.why.by) == (OTHER, "cost model")
    (problem,) = chosen.why.problems
    assert problem == f"the record of {KEY} is not used: TVM 9 can't replay a schedule (it is odd); search again"
    impossible = replace(choice(), check=lambda config: Verdict(False))
    assert by_model(Records((RECORD,)).choose(impossible, threads=1))
    other = replace(choice(), check=lambda config: Verdict(config == DIRECT, "" if config == DIRECT else "odd"))
    better = replace(RECORD, config=OTHER, threads=1)
    chosen = Records((better, RECORD)).choose(other, threads=1)
    assert (chosen.config, chosen.why.by, len(chosen.why.problems)) == (DIRECT, "record", 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bias", False), ("bias+relu", False), ("bias+residual", True), ("bias+residual+clip(0, 6)", True),
        ("bias+clip(0, 6)+residual", True), ("bias+relu, bias+residual", True), ("bias+clip(0, 6), bias", False),
        ("0123456789abcdef", False), ("bias+residualish", False),
    ],
)  # fmt: skip
def test_records_of_before_have_the_residual_in_a_text(text, expected):
    data = {name: value for name, value in KEY.to_json().items() if name != "adds_residual"}
    key = LayerKey.from_json({**data, "epilogue": text})
    assert key.adds_residual is expected
    assert LayerKey.from_json(key.to_json()) == key
    near = replace(key, spec=replace(SPEC, oc=256))
    assert distance(near, key) == 1.0
    assert distance(replace(near, adds_residual=not expected), key) == math.inf


def test_the_nearest_layer():
    near = replace(KEY, spec=replace(SPEC, oc=256))
    nearer = replace(KEY, density=30)
    assert distance(replace(KEY, scattered=True), KEY) == pytest.approx(0.1)
    assert distance(near, KEY) == 1.0
    assert distance(nearer, KEY) == pytest.approx(math.log2(30 / 25))
    far, close = replace(RECORD, layer=near, config=OTHER, default=DIRECT), replace(RECORD, layer=nearer)
    predicted = {ConvConfig(16, DirectConfig(8, 1, 1, True, True)): 100.0, DIRECT: 110.0, OTHER: 100.0}
    chosen = Records((far, close)).choose(choice(predicted=predicted), threads=1)
    assert (chosen.config, chosen.why.by) == (DIRECT, "nearest record")
    assert chosen.why.source.startswith("conv 1x64x14x14 to 128x14x14")
    predicted[DIRECT] = 130.0  # the cost model thinks it is a bad idea here: the next one, then
    assert Records((far, close)).choose(choice(predicted=predicted), threads=1).config == OTHER


def test_a_near_layer_whose_search_found_nothing_better_speaks_for_the_cost_model():
    nearer, farther = replace(KEY, density=30), replace(KEY, spec=replace(SPEC, oc=256))
    confirmed = replace(RECORD, layer=nearer, config=DIRECT, default=DIRECT)
    assert by_model(Records((confirmed,)).choose(choice(), threads=1))
    better = replace(RECORD, layer=farther)
    assert Records((better,)).choose(choice(), threads=1).config == DIRECT
    assert by_model(Records((better, confirmed)).choose(choice(), threads=1))


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, spec=replace(SPEC, ih=28, iw=28)),
        replace(KEY, block_n=8),
        replace(KEY, pitch=(15, 15)),
        replace(KEY, epilogue="bias+residual+relu", adds_residual=True),
        replace(KEY, pattern="dense", block_n=0, density=100),
        replace(KEY, spec=replace(SPEC, ic=512)),
        replace(KEY, kind="linear"),
        replace(KEY, in_place=True),
    ],
    ids=["image", "N", "pitch", "residual", "dense", "far", "kind", "in place"],
)
def test_other_layers_are_not_near(other):
    assert by_model(Records((replace(RECORD, layer=other),)).choose(choice(), threads=1))


@given(st.integers(1, 4000), st.integers(0, 4000))
def test_buckets(of, kept):
    kept = min(kept, of)
    found = bucket(kept, of)
    assert found % 5 == 0
    assert 100 * kept / of <= found < 100 * kept / of + 5


def test_a_trace_is_for_its_own_operator():
    one = replace(KEY, kind="generic", epilogue="0123456789abcdef", pattern="none", block_n=1)
    assert distance(one, one) == 0
    assert distance(one, replace(one, epilogue="fedcba9876543210")) == math.inf


def test_records_of_other_targets_are_left_out(tmp_path):
    path = tmp_path / "r.jsonl"
    other, unknown_isa = replace(RECORD, target="aarch64", isa=("neon",)), replace(RECORD, isa=("avx2", "amx"))
    path.write_text(to_line(other) + to_line(unknown_isa) + to_line(RECORD))
    assert of_target(read_log(path), resolve("x86-64-v3")).best == (RECORD,)
    assert find_records(None, resolve("x86-64-v3")) == Records()
    assert find_records(os.fspath(path), resolve("aarch64")).best == (other,)


def test_shipped_records_can_be_used():
    """Every line of a shipped file is whole, for its target, and the best of its layer."""
    files = sorted((Path(__file__).parents[1] / "schedules").glob("*.jsonl"))
    for file in files:
        log = read_log(file)
        assert log.problems == []
        assert {record.target for record in log.records} == {file.stem}
        assert best_of(log.records) == log.records
        assert shipped(resolve(file.stem)).best == tuple(log.records)


def test_a_target_without_shipped_records(tmp_path):
    assert shipped(resolve("armv7"), folders=[tmp_path]) == Records()
