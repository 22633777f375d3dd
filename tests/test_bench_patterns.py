"""The benchmark of patterns: each is pruned to the share that is asked for, and all are compiled and timed."""

from __future__ import annotations

import json

import nets
import pytest
import torch
from bench_made import require

from sparsecc import prune


@pytest.fixture(scope="module")
def patterns():
    require("onnx")
    from bench.studies import patterns

    return patterns


@pytest.mark.parametrize(
    "name", ["1x4", "1x4, sorted", "1x4, shuffled", "1x4, equal counts", "1x16", "single kernels", "single weights"]
)
def test_patterns_prune_the_same_layers_to_the_same_share(name, patterns):
    model = nets.build("mobilenet_v1", width=0.25)
    chosen = prune.OneByN(4, 0.75)
    chosen.apply(nets.build("mobilenet_v1", width=0.25))
    patterns.PATTERNS[name](model, 0.75)
    for layer, module in model.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            zeros = float((module.weight == 0).float().mean())
            assert zeros == pytest.approx(0.75 if layer in chosen.sparsities() else 0.0, abs=0.04)


def test_darb_keeps_about_the_share(patterns):
    model = nets.build("mobilenet_v1", width=0.25)
    patterns.PATTERNS["DARB"](model, 0.75)
    pruned = [m.weight for m in model.modules() if isinstance(m, torch.nn.Conv2d) and (m.weight == 0).any()]
    assert len(pruned) == 13
    kept = sum(int((w != 0).sum()) for w in pruned) / sum(w.numel() for w in pruned)
    assert kept == pytest.approx(0.25, abs=0.05)


@pytest.mark.slow
def test_the_command(patterns, tmp_path, capsys):
    small = ["--net", "mobilenet_v1", "--width", "0.25", "--size", "64", "--sparsity", "0.75", "--rounds", "2"]
    out = tmp_path / "patterns.json"
    assert patterns.main([*small, "--patterns", "1x4", "single weights", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert [t["pattern"] for t in found] == ["dense", "1x4", "single weights"]
    assert all(t["error"] <= 1e-4 and t["ms"]["median"] > 0 for t in found)
    assert found[0]["over_dense"]["median"] == 1.0
    assert "| 1x4 |" in capsys.readouterr().out
