"""Records of measurements: their file, and what of it can be used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_case import CONFIGS, DIRECT, KEY, OTHER, RECORD

from sparsecc.errors import OutputError, UserError
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer_key import LayerKey
from sparsecc.lower import stored as configs
from sparsecc.target.records.log import append, best_of, merged, read_log, to_line, write_lines
from sparsecc.target.records.record import Record


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: configs.to_json(config)["kernel"])
def test_configs_and_records_survive_json(config):
    record = replace(RECORD, config=config)
    assert Record.from_json(json.loads(to_line(record))) == record


def test_a_chain_and_a_window_survive_json():
    window = ConvSpec(n=1, ic=128, ih=14, iw=14, oc=128, kh=3, kw=3, padding=(1, 1, 1, 1), groups=128)
    key = replace(KEY, kind="chain", window=window, combine="weighted", block_n=0, pattern="dense", density=100)
    assert LayerKey.from_json(json.loads(json.dumps(key.to_json()))) == key
    assert "then weighted 3x3" in str(key)


def test_a_key_from_before_there_were_kernels_in_place():
    data = KEY.to_json()
    assert data.pop("in_place") is False
    assert LayerKey.from_json(data) == KEY
    assert str(replace(KEY, in_place=True)) == str(KEY).replace(", bias", " in place, bias", 1)


def test_unknown_fields_are_ignored():
    data = {**RECORD.to_json(), "humidity": 0.4}
    assert Record.from_json(data) == RECORD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2, this version reads up to 1"),
        ({"us": -1}, "us: found -1, expected a number"),
        ({"us": "fast"}, "us: found 'fast'"),
        ({"us": float("nan")}, "us: found nan"),
        ({"threads": 0}, "threads: found 0"),
        ({"layer": None}, ""),
        ({"config": {"kernel": "magic"}}, "kernel: found 'magic', expected direct"),
        ({"config": {**configs.to_json(DIRECT), "warp": 3}}, "unknown knobs warp"),
        ({"config": {**configs.to_json(DIRECT), "vectors": "many"}}, "found 'many'"),
        ({"target": 3}, "target: found 3, expected a text"),
        ({"layer": {**KEY.to_json(), "spec": {**KEY.to_json()["spec"], "ic": 0}}}, "ic: found 0"),
        ({"layer": {**KEY.to_json(), "spec": {**KEY.to_json()["spec"], "ic": "64"}}}, "ic: found '64'"),
        ({"layer": {**KEY.to_json(), "spec": {**KEY.to_json()["spec"], "stride": [[1]]}}}, "stride: found"),
        ({"layer": {**KEY.to_json(), "spec": {**KEY.to_json()["spec"], "padding": [0, 0]}}}, "expected 4 numbers"),
    ],
)
def test_lines_that_cannot_be_used_are_named_and_skipped(tmp_path, change, message):
    path = tmp_path / "r.jsonl"
    path.write_text(to_line(RECORD) + json.dumps({**RECORD.to_json(), **change}) + "\n" + to_line(RECORD))
    log = read_log(path)
    assert log.records == [RECORD, RECORD]
    [problem] = log.problems
    assert problem.startswith(f"{path}:2: skipped, ")
    assert message in problem


@pytest.mark.parametrize("text", ["{", "[]", "null", "7", '{"format": 1}', "\x00\xff", to_line(RECORD)[:-20]])
def test_corrupt_lines(tmp_path, text):
    path = tmp_path / "r.jsonl"
    path.write_bytes((text + "\n" + to_line(RECORD)).encode("latin-1"))
    log = read_log(path)
    assert log.records == [RECORD]
    assert [p.startswith(f"{path}:1: skipped") for p in log.problems] == [True]


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"can't read .*none\.jsonl: No such file"):
        read_log(tmp_path / "none.jsonl")


def test_append_starts_a_new_line_after_one_that_was_cut_off(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(to_line(RECORD) + to_line(RECORD)[:50])
    append(path, [RECORD])
    log = read_log(path)
    assert log.records == [RECORD, RECORD]
    assert len(log.problems) == 1


def test_append_says_what_is_wrong(tmp_path):
    with pytest.raises(OutputError, match="Is a directory; choose another --log"):
        append(tmp_path, [RECORD])
    if Path("/dev/full").exists():
        with pytest.raises(OutputError, match="No space left"):
            append(Path("/dev/full"), [RECORD])


def test_merging_keeps_each_line_once_and_what_it_does_not_know(tmp_path):
    foreign = json.dumps({"format": 9, "layer": "from the future"})
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    other = replace(RECORD, config=OTHER, us=80.0)
    first.write_text(to_line(RECORD) + foreign + "\n" + "garbage\n")
    second.write_text(to_line(other) + to_line(RECORD) + foreign + "\n")
    lines = merged([read_log(first), read_log(second)])
    assert lines == [to_line(RECORD).strip(), foreign, to_line(other).strip()]
    both = tmp_path / "both.jsonl"
    write_lines(both, lines)
    assert best_of(read_log(both).records) == [other]


@given(st.permutations(range(6)), st.integers(0, 6))
def test_halves_merged_in_any_order_have_the_same_best(order, cut):
    records = [
        replace(RECORD, config=replace(DIRECT, kernel=replace(DIRECT.kernel, vectors=1 + i)), us=100.0 - i % 4 - i / 10)
        for i in range(6)
    ]
    shuffled = [records[i] for i in order]
    assert best_of(shuffled[:cut] + shuffled[cut:]) == best_of(records) == [records[3]]
