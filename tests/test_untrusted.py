"""What is read from disk may be anything: every reader ends with a result or an error of ours that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_case import RECORD
from test_machine import SOME, V4

from sparsecc.errors import LibraryError, SparseccError, TargetError, UserError
from sparsecc.runtime import load, read_description
from sparsecc.target import TARGETS
from sparsecc.target.given import read_target
from sparsecc.target.native import calibrate
from sparsecc.target.records.log import merged, read_log, to_line
from sparsecc.untrusted import (
    MalformedError,
    check_members,
    number,
    pairs,
    parse_json,
    shown,
    text,
    truth,
)

#: texts that are no data of ours, and a part of what is said of them
HOSTILE = {
    "": "not JSON",
    "{": "not JSON",
    "[" * 100_000: "more than 128 deep",
    '{"a":' * 100_000: "more than 128 deep",
    '"' + '\\"' * 100_000 + "[" * 200: "more than 128|not JSON",
    '{"format":' + "9" * 401 + "}": "has more than 64 bits",
    '{"format":-' + "9" * 19 + "}": "has more than 64 bits",
    '{"format":1' + "0" * 5000 + ".5}": "format: found inf",
    '{"us":Infinity}': "us: found inf",
    '{"us":[1,NaN]}': r"us\[1\]: found nan",
    '{"us":1E+00400}': "us: found inf",
    '{"us":' + "9" * 250 + "e99}": "us: found inf",
    "-Infinity": "found -inf",
    '{"a":1,"a":2}': "'a' is there twice",
}


def read_records(path: Path) -> None:
    """Lines that can't be used are named; for these tests as errors."""
    log = read_log(path)
    if log.problems:
        raise UserError("; ".join(log.problems))


def read_board(path: Path) -> None:
    read_target(path, TARGETS)


#: reader -> the error that it has for a file that it can't use
READERS: dict[str, tuple[Callable[[Path], Any], type[SparseccError]]] = {
    "library": (load, LibraryError),
    "description": (read_description, LibraryError),
    "records": (read_records, UserError),
    "target": (read_board, TargetError),
}
TEXT_READERS = ("records", "target")


@pytest.mark.parametrize("reader", TEXT_READERS)
@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_texts_that_are_no_data(reader: str, data: str, tmp_path: Path) -> None:
    path = tmp_path / "given.json"
    path.write_text(f"{data}\n" if data or reader != "records" else "x\n")
    read, kind = READERS[reader]
    where = f"{path}:1" if reader == "records" else f"{path}"
    with pytest.raises(kind, match=HOSTILE[data]) as caught:
        read(path)
    assert where in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_figures_that_are_no_data_are_measured_again(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(calibrate, "processor", lambda: "GenuineIntel-6-999")
    monkeypatch.setattr(calibrate, "measure", lambda target, *, cc: SOME)
    monkeypatch.setattr(calibrate, "measure_clock", lambda target, *, cc: 2.5)
    for path in (calibrate.cache_file(V4, calibrate.processor()), calibrate.clock_file(calibrate.processor())):
        path.parent.mkdir(exist_ok=True)
        path.write_text(data)
    assert calibrate.figures_here(V4)[0] == SOME
    assert calibrate.clock_here(V4)[0] == 2.5
    assert json.loads(calibrate.cache_file(V4, calibrate.processor()).read_text()) == asdict(SOME)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    path.write_bytes(b'{"name":"\xff"}')
    with pytest.raises(TargetError, match="no text in UTF-8"):
        read_board(path)


@pytest.mark.parametrize("change", [
    {"like": ["rpi4"]}, {"like": {}}, {"like": "r" * 500_000}, {"n" * 500_000: 1}, {"name": ["x"]}, {"name": "n" * 101},
    {"llvm": []}, {"llvm": {"mcpu": 5}}, {"llvm": {"mattr": "+neon"}}, {"llvm": {"mattr": [1]}}, {"llvm": {"mcp": "x"}},
    {"llvm": {"mtriple": {}}}, {"cpu_features": [1]}, {"lanes": [8]}, {"registers": 1 << 40}, {"ghz": 1e-200},
    *({"core_model": value} for value in (
        5, None, "zen-44", {"like": 4}, {"issue": 4}, {"source": 1}, {"spare_registers": 65}, {"tile_cycles": 1e7},
        {"issue_width": 0}, {"reread_share": -1}, {"double_pumped": 1}, {"n" * 500_000: 1},
    )),
    {"l1_bytes": 1 << 62}, {"l2_bandwidth": 1e300}, {"triple": 5}, {"cores": -1}, {"cores": 0.5}, {"source": None},
])  # fmt: skip
def test_target_files_with_wrong_members(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    path.write_text(json.dumps({"name": "my-board", "like": "rpi4", **change}))
    with pytest.raises(TargetError, match=r"board\.json: .*found .*expected ") as caught:
        read_board(path)
    assert len(str(caught.value)) < 700 + len(str(path))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member of every object and list within: (where it is, its key)."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in [(value, key), *places(value[key])]]


@given(st.data())
def test_records_with_any_value_in_any_place(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    record = json.loads(to_line(RECORD))
    place, key = data.draw(st.sampled_from(places(record)))
    place[key] = data.draw(_VALUES)
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text(json.dumps(record) + "\n")
    log = read_log(path)
    assert len(log.lines) == 1
    assert len(merged([log])) == 1
    assert [*log.problems, *map(str, log.records)]


@given(st.data())
def test_target_files_with_any_value_in_any_place(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    board = {
        "name": "b",
        "like": "rpi4",
        "l2_bytes": 5,
        "ghz": 1.5,
        "llvm": {"mcpu": "x", "mattr": ["+neon"]},
        "cores": 2,
        "core_model": {"like": "zen-4", "issue_width": 8, "double_pumped": False, "source": "a guess"},
    }
    place, key = data.draw(st.sampled_from(places(board)))
    place[key] = data.draw(_VALUES)
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(board))
    with suppress(TargetError):
        read_board(path)


@given(_VALUES)
def test_good_json_is_read_as_python_reads_it(value: Any) -> None:
    for ascii_only in (True, False):
        written = json.dumps(value, ensure_ascii=ascii_only)
        assert parse_json(written) == parse_json(written.encode()) == json.loads(written)


def test_brackets_in_texts_are_no_depth() -> None:
    assert parse_json(json.dumps(["[" * 200, '\\"' + "[" * 200]))
    assert parse_json("[" * 128 + "]" * 128)
    with pytest.raises(MalformedError, match="deep"):
        parse_json("[" * 129 + "]" * 129)
    assert parse_json('["\\ud83d\\ude00", "\\\\ud800"]') == ["\U0001f600", "\\ud800"]


def test_a_full_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise RecursionError

    monkeypatch.setattr(json, "loads", full)
    with pytest.raises(MalformedError, match="too deep for the rest of the stack"):
        parse_json("[]")


def test_members() -> None:
    members = {"a": True, "b": {"c": 1}, "n": 0.5}
    assert check_members(members, needed=("a",)) is members
    assert (truth(members, "a"), pairs(members, "b"), number(members, "n")) == (True, {"c": 1}, 0.5)
    for check, message in (
        (lambda: check_members(members, needed=("a",), known=("b",)), "found the unknown 'n'"),
        (lambda: truth(members, "n"), "n: found 0.5, expected true or false"),
        (lambda: pairs(members, "n"), "n: found 0.5, expected an object"),
        (lambda: number(members, "a"), "a: found True, expected a number"),
        (lambda: number(members, "n", most=0.2), "n: found 0.5, expected a number of at most 0.2"),
        (lambda: number(members, "n", least=2), "n: found 0.5, expected a number from 2 on"),
        (lambda: number(members, "n", least=2, most=3), "n: found 0.5, expected a number from 2 to 3"),
        (lambda: text(members, "t"), "'t' is missing"),
    ):
        with pytest.raises(MalformedError, match=message):
            check()
    assert len(shown(["x" * 1000] * 1000)) < 600
