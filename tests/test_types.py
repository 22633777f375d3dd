"""What a layer computes with is said wherever layers are listed, if a network has codes, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coded import CodedBranch
from torch import nn

import sparsecc
from sparsecc.analyse.plan import Plan
from sparsecc.cli import main

TYPES = ["int8", "int8", "int8", "int8"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> tuple[sparsecc.Compiled, Path]:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 8, 8)
    made = sparsecc.compile(CodedBranch(), example_inputs=(x,), threads=1)
    path = tmp_path_factory.mktemp("types") / "m.so"
    made.save(path)
    np.save(path.with_name("x.npy"), x.numpy())
    return made, path


def test_report(library: Any, tmp_path: Path) -> None:
    report = library[0].report
    text = str(report)
    assert text.split("\n")[0].split()[:4] == ["layer", "kind", "type", "weight"]
    assert "types: 4 layers of int8, 0 layers of float32" in text
    data = report.to_json()
    assert [layer["dtype"] for layer in data["plan"]["layers"]] == TYPES
    assert {step["dtype"] for step in data["steps"]} == {"uint8", "float32"}
    again = Plan.from_json(data["plan"])
    assert [layer.dtype for layer in again.layers] == TYPES
    assert again.totals.dense_bytes == sum(np.prod(layer.spec.weight_shape) for layer in again.layers)
    report.save(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert page.count('data-head="type" data-v="int8"') == 4
    assert "linear, dense, int8" in page


def test_command_line(library: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = library[1]
    shown = printed(capsys, "inspect", path)
    assert "type" in shown.split("\n")[0].split()
    assert "types: 4 layers of int8" in shown
    timed = printed(capsys, "bench", path, "--layers", "--threads", "1", "--runs", "3")
    assert "type" in timed
    assert "int8" in timed
    assert "uint8" in timed


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_a_plan_says_them_too() -> None:
    torch.manual_seed(0)
    plan = sparsecc.inspect(CodedBranch(), example_inputs=(torch.randn(1, 3, 8, 8),))
    assert [layer.dtype for layer in plan.layers] == TYPES


def test_float_networks_have_no_column() -> None:
    plan = sparsecc.inspect(nn.Conv2d(4, 4, 1), example_inputs=(torch.randn(1, 4, 8, 8),))
    assert "type" not in str(plan)
    assert "dtype" not in plan.to_json()["layers"][0]
    assert [layer.dtype for layer in plan.layers] == ["float32"]
