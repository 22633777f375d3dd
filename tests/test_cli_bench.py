"""``sparsecc bench``: times of runs and of layers."""

from __future__ import annotations

import pytest
import torch
from cli_case import command, document, fails

import sparsecc
from sparsecc.cli import main


def test_bench_without_the_compiler(made):
    done = command("bench", made.library, "--runs", 5, "--threads", 1, "--layers", alone=True)
    assert done.returncode == 0
    assert "body" in done.stdout
    assert "sum of" in done.stdout
    assert "1 thread, 5 runs" in done.stdout
    assert "time layers" in done.stderr


def test_bench_as_json(made, capsys):
    found = document(capsys, "bench", made.library, "--threads", 2, "--sort")
    assert (found["threads"], found["target"]) == (2, sparsecc.load(made.library).target)
    assert found["runs"] >= 10
    assert 0 < found["min_s"] <= found["p10_s"] <= found["median_s"] <= found["p90_s"]
    times = [step["median_s"] for step in found["layers"]]
    assert times == sorted(times, reverse=True)
    assert sum(step["share"] for step in found["layers"]) == pytest.approx(1)
    assert {"stem", "body", "head"} <= {step["name"] for step in found["layers"]}
    assert "layers" not in document(capsys, "bench", made.library, "--runs", 1)


@pytest.mark.parametrize("option", [["--runs", 0], ["--threads", -1], ["--runs", 0, "--runner", "env"]])
def test_bench_with_bad_numbers(option, made, capsys):
    assert fails(capsys, "bench", made.library, *option)[0] == 2


@pytest.mark.parametrize("words", [["bench"], ["run", "--input", "x.npy", "--output", "y.npy"]])
def test_a_checkpoint_is_no_library(capsys, tmp_path, words):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "m.pt")
    assert main([words[0], str(tmp_path / "m.pt"), *words[1:]]) == 2
    assert (
        "m.pt: has weights and no network (torch.save), expected a .pt2 or ONNX; in Python:" in capsys.readouterr().err
    )
