"""The study of Winograd's algorithm: it runs, and says how far the choice is from the best."""

from __future__ import annotations

import pytest

from bench.studies import winograd
from bench.studies.winograd import Result, main, shown
from sparsecc.lower.config import AlgorithmConfig

DIRECT, SMALL, LARGE = (AlgorithmConfig(tile, sparse=True) for tile in (0, 2, 4))
DENSE = AlgorithmConfig(4, sparse=False)


def result(chosen: AlgorithmConfig) -> Result:
    us = {DENSE: 80.0, DIRECT: 100.0, SMALL: 52.0, LARGE: 50.0}
    return Result("64 channels", us, {DIRECT: 1000, SMALL: 2000, LARGE: 5000}, 0.25, chosen, 1.1)


def test_a_row():
    assert shown([result(SMALL)]).splitlines()[-1] == (
        "| 64 channels | 100 (1) | 52 (+1) | **50** (+4) | 2.00x | 25 % | 2x2 sparse | 96 % | 1.10 |"
    )
    assert result(DENSE).lost == pytest.approx(1.6)


def test_it_runs(capsys, monkeypatch):
    monkeypatch.setattr(winograd, "EQUAL", float("inf"))
    given = ["--layers", "16:8", "--rounds", "2", "--sparsity", "0.5", "--n", "4", "--target", "x86-64-v3"]
    assert main(given) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        "16 channels at 8x8, dense",
        "16 channels at 8x8, 1x4 at 50 %",
    ]


def test_a_wrong_choice_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(winograd, "measured", lambda *_args, **_options: result(DENSE))
    assert main(["--layers", "16:8", "--target", "x86-64-v3"]) == 1
    assert "62 % of the best" in capsys.readouterr().err
