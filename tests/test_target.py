"""Targets: those that users give, and every mistake in them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tuning_case import example, tiny_net

import sparsecc
from sparsecc.cli import main
from sparsecc.errors import TargetError
from sparsecc.runtime import read_description
from sparsecc.target import CORES, TARGETS, Target, resolve

BOARD = {
    "name": "my-board",
    "like": "rpi4",
    "l2_bytes": 1 << 19,
    "memory_bytes": 1 << 28,
    "llvm": {"mcpu": "cortex-a57"},
}


def written(folder: Path, data: object) -> Path:
    path = folder / "board.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_a_file_changes_what_it_names(tmp_path):
    target = resolve(written(tmp_path, BOARD))
    assert (target.name, target.l2_bytes, target.memory_bytes) == ("my-board", 1 << 19, 1 << 28)
    assert target.llvm == {**TARGETS["rpi4"].llvm, "mcpu": "cortex-a57"}
    unchanged = {"name": "rpi4", "l2_bytes": TARGETS["rpi4"].l2_bytes, "llvm": TARGETS["rpi4"].llvm}
    assert replace(target, memory_bytes=TARGETS["rpi4"].memory_bytes, **unchanged) == TARGETS["rpi4"]


def test_a_core_of_ones_own(tmp_path):
    """By name, by what differs from the base's core, or from a named one."""
    assert resolve(written(tmp_path, {**BOARD, "core_model": "cortex-a76"})).core_model is CORES["cortex-a76"]
    core = resolve(written(tmp_path, {**BOARD, "core_model": {"issue_width": 3}})).core_model
    source = "taken from cortex-a72, changed by board.json"
    assert core == replace(CORES["cortex-a72"], name="my-board", source=source, issue_width=3)
    given = {"like": "zen-3", "name": "my-core", "source": "measured by me", "moved_row_cycles": 0}
    core = resolve(written(tmp_path, {**BOARD, "core_model": given})).core_model
    assert core == replace(CORES["zen-3"], name="my-core", source="measured by me", moved_row_cycles=0)


def test_a_target_in_python_has_a_core():
    with pytest.raises(TargetError, match=r"target rpi4: core_model: found 'zen-4', expected a sparsecc\.target\.Core"):
        replace(TARGETS["rpi4"], core_model="zen-4")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "not JSON"),
        ([1], "found list, expected an object"),
        ({**BOARD, "l2_byte": 1}, "unknown field 'l2_byte'.*nearest: 'l2_bytes'"),
        ({**BOARD, "like": "rpi44"}, "like: found 'rpi44'.*nearest: 'rpi4'"),
        ({"name": "my-board"}, "like: found None"),
        ({"like": "rpi4"}, "name: found None, expected a name that none of ours has"),
        ({**BOARD, "name": "rpi3"}, "name: found 'rpi3', expected a name that none of ours has"),
        ({**BOARD, "name": "../board"}, "name: found '../board', expected letters"),
        ({**BOARD, "lanes": 3}, "lanes: found 3, expected 4, 8 or 16"),
        ({**BOARD, "registers": 8}, "registers: found 8, expected 16 or more"),
        ({**BOARD, "l1_bytes": -1}, "l1_bytes: found -1, expected a whole number above zero"),
        ({**BOARD, "l2_bandwidth": "8"}, "l2_bandwidth: found '8', expected a number above zero"),
        ({**BOARD, "in_order": 1}, "in_order: found 1, expected true or false"),
        ({**BOARD, "cpu_features": "neon"}, "cpu_features: found 'neon', expected a list of texts"),
        ({**BOARD, "folds_broadcast": True}, "unknown field 'folds_broadcast'"),
        ({**BOARD, "core_model": "zen4"}, "core_model: found 'zen4', expected one of .*; nearest: 'zen-4'"),
        ({**BOARD, "core_model": [1]}, "core_model: found .*, expected the name of a core or an object such as"),
        ({**BOARD, "core_model": {"like": "zen"}}, "core_model: found 'zen', expected one of .*; nearest: 'zen-"),
        ({**BOARD, "core_model": {"issue": 3}}, "found the unknown field 'issue', .*; nearest: 'issue_width'"),
        ({**BOARD, "core_model": {"issue_width": 0}}, "issue_width: found 0, expected a number above zero"),
        ({**BOARD, "core_model": {"tile_cycles": -1}}, "tile_cycles: found -1, expected a number from zero on"),
        ({**BOARD, "core_model": {"spare_registers": 2.5}}, "found 2.5, expected a whole number above zero"),
        ({**BOARD, "core_model": {"block_cycles": 1e9}}, "block_cycles: found 1000000000.0, expected 1e-06 to 1e"),
        ({**BOARD, "core_model": {"double_pumped": 1}}, "double_pumped: found 1, expected true or false"),
        ({**BOARD, "core_model": {"source": None}}, "source: found None, expected a text"),
        ({**BOARD, "llvm": "cortex-a57"}, "llvm: found 'cortex-a57', expected an object"),
    ],
)  # fmt: skip
def test_mistakes_in_a_file(data, message, tmp_path):
    path = written(tmp_path, data)
    with pytest.raises(TargetError, match=message) as caught:
        resolve(path)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(TargetError, match=r"can't read .*none\.json: No such file"):
        resolve(str(tmp_path / "none.json"))


def test_an_unknown_name():
    with pytest.raises(TargetError, match=re.escape("or a file of facts (.json); nearest: 'rpi4'")):
        resolve("rpi-4")


def test_compile_for_a_target_of_ones_own(tmp_path, capsys):
    """By Python and by the command line: the same library, which knows its target's name."""
    mine: Target = resolve(written(tmp_path, BOARD))
    sparsecc.compile(tiny_net(), mine, example_inputs=example()).save(tmp_path / "a.so")
    assert read_description(tmp_path / "a.so")["target"] == "my-board"
    torch.export.save(torch.export.export(tiny_net(), example()), tmp_path / "net.pt2")
    command = ["compile", str(tmp_path / "net.pt2"), "-o", str(tmp_path / "b.so")]
    assert main([*command, "--target", str(tmp_path / "board.json")]) == 0
    assert "for my-board" in capsys.readouterr().out
    assert read_description(tmp_path / "b.so")["target"] == "my-board"
    assert main([*command, "--target", str(written(tmp_path, {**BOARD, "corse": 4}))]) == 2
    assert "nearest: 'cores'" in capsys.readouterr().err
