"""`bench.studies.advice`: predictions compared with measurements."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.results.stats import Spread
from bench.studies.advice import Compared, of_equal_layers, spearman, summary, time_of, together
from bench.studies.advice import main as advice_main
from sparsecc.advice.steps import StepCost


def test_rank_correlation():
    assert spearman([1, 2, 3, 4], [10, 20, 30, 31]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486833)  # as scipy.stats.spearmanr
    assert spearman([1, 1, 1], [1, 2, 3]) == 0


def test_equal_layers_are_one():
    found = of_equal_layers([2, 1, 2], [1, 1, 1], [10, 5, 20], [4, 3, 6])
    np.testing.assert_allclose(found, [[1, 2], [1, 1], [5, 15], [3, 5]])


def test_layers_that_a_step_joins_are_compared_together():
    def step(key: str, *joined: str) -> StepCost:
        return StepCost(key, "chain", 1.0, 1.0, 1.0, 4, joined)

    found = together(["a", "b", "c", "d"], [step("a", "x"), step("b"), step("x", "c"), step("d")])
    assert found == [{"a", "x", "c"}, {"b"}, {"d"}]
    times = {"a": 1.0, "x": 2.0, "c_winograd_in": 4.0, "c": 8.0, "b": 100.0}
    assert time_of(found[0], times) == 15.0


def test_summary_of_the_comparison():
    spread = Spread(10.0, 9.0, 11.0, 7, 0.0)
    cells = [
        Compared("a", 1, 0.0, 11.0, spread, 7, None, None, None),
        Compared("a", 4, 0.5, 12.5, spread, 7, 0.95, 0.8, 0.99),
    ]
    text = summary(cells)
    assert "| a | 1x4 at 50 % | 12.50 | 10.00 (9.00 to 11.00) | 7 | 1.25 | 0.95 | 0.99 | 0.80 |" in text
    assert "1 of 2 cells within 20 %; rank correlation at least 0.9 in 1 of 1" in text


@pytest.mark.slow
def test_the_comparison_runs(tmp_path, capsys):
    small = ["--width", "0.25", "--size", "64", "--n", "4", "--sparsity", "0.75", "--quick"]
    assert advice_main(["--nets", "mobilenet_v1", *small, "--out", str(tmp_path / "advice.json")]) == 0
    found = json.loads((tmp_path / "advice.json").read_text())
    assert [cell["sparsity"] for cell in found] == [0.0, 0.75]
    assert all(cell["predicted_ms"] > 0 and cell["measured_ms"]["median"] > 0 for cell in found)
    assert "mobilenet_v1 | 1x4 75 %" in capsys.readouterr().out
