"""What is made of the benchmark's rounds: summary, tables and JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from bench_made import LIMITS, STEADY, made_cell, made_results, made_round

from bench.results.schema import Layer, load
from bench.results.summary import best_bar, choose, dense_ratio, summarise
from bench.showing.tables import main as tables_main
from bench.showing.tables import tables

# --- summary and tables --------------------------------------------------------------------------------------------


def test_ratios_are_taken_within_a_round():
    cell = made_cell(STEADY)
    (summary,) = summarise(cell, LIMITS, wanted=2)
    # the machine was twice as slow in the second round, yet the ratio has no spread
    assert (summary.faster["onnxruntime"].p10, summary.faster["onnxruntime"].p90) == (4.0, 4.0)
    assert (summary.limit_ms, summary.dense_limit_ms) == (pytest.approx(2.0), pytest.approx(10.0))
    assert summary.share_of_limit == pytest.approx(1 / 3)
    assert dense_ratio(cell, summary).median == pytest.approx(0.8)


def test_disturbed_rounds_only_fill_up():
    clean = made_round(a=1.0)
    bad, worse = (made_round(a=2.0, disturbed="x", others=others) for others in (0.2, 0.9))
    assert choose([worse, bad, clean], place="any", wanted=1) == [clean]
    assert choose([worse, bad, clean], place="any", wanted=2) == [bad, clean]
    assert choose([clean, clean], place="any", wanted=1) == [clean, clean]


def test_near_and_far_are_apart_and_mixed_is_left_out():
    rounds = [replace(STEADY[0], place=where) for where in ("near", "mixed", "far", "near")]
    found = summarise(made_cell(rounds, threads=2), LIMITS, wanted=2)
    assert [(s.place, len(s.rounds)) for s in found] == [("near", 2), ("far", 1)]


def test_a_wrong_rival_is_no_bar():
    cell = made_cell(STEADY, errors={"onnxruntime": 2e-4})
    (summary,) = summarise(cell, LIMITS, wanted=2)
    assert best_bar(cell, summary, uses_zeros=False).name == "torch_eager"
    assert best_bar(cell, summary, uses_zeros=True) is None
    assert "4.00 (4.00 to 4.00), no bar" in tables(made_results(cell))


def test_ours_has_no_ratio_when_it_is_wrong():
    text = tables(made_results(made_cell(STEADY, errors={"sparsecc": 0.5})))
    assert "4.00 (4.00" not in text
    assert "mobilenet_v1, 1x16 at 75 %, 1 thread(s): sparsecc:" in text


def test_losses_are_shown():
    lost = [made_round(sparsecc=4.0, sparsecc_dense=5.0, onnxruntime=3.0, torch_eager=6.0)]
    text = tables(made_results(made_cell(lost)))
    assert "**0.75 (0.75 to 0.75)**" in text
    assert "ONNX Runtime is faster than sparsecc (0.75)" in text
    assert "the best dense rival is faster than sparsecc, dense (0.60)" in text
    assert "None in this run" not in text


def test_a_cell_in_which_nothing_ran_is_still_shown():
    cell = made_cell([])
    failed = tuple(replace(p, error=None, problem="it broke") for p in cell.participants)
    text = tables(made_results(replace(cell, participants=failed)))
    assert text.count("it broke") == 2 + 4  # two of ours among the losses, all four among the errors


def test_tables_of_layers():
    cell = made_cell(STEADY)
    layer = Layer("conv_1", "direct", 0.5, 20_000_000, 4_000_000)
    text = tables(
        made_results(replace(cell, participants=(replace(cell.participants[0], layers=(layer,)),))), layers=True
    )
    assert "| conv_1 | direct | 500.0 | 20.00 | 80 | 80 % | 4.00 | 8 | 100.0 |" in text


def test_rows_of_a_table_have_the_same_columns():
    for block in tables(made_results(made_cell(STEADY))).split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


# --- JSON ----------------------------------------------------------------------------------------------------------


def test_results_survive_json(tmp_path):
    results = made_results(made_cell(STEADY))
    results.save(tmp_path / "r.json")
    assert load(tmp_path / "r.json") == results


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("limits"),
        lambda data: data.update(format=99),
        lambda data: data.update(extra=1),
        lambda data: data["cells"][0]["rounds"][0].pop("place"),
        lambda data: data["cells"][0]["participants"][0].update(speed="high"),
    ],
)
def test_reading_refuses_anything_else(tmp_path, spoil, capsys):
    path = tmp_path / "r.json"
    made_results(made_cell(STEADY)).save(path)
    data = json.loads(path.read_text())
    spoil(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="no benchmark result"):
        load(path)
    assert tables_main([str(path)]) == 2
    assert "no benchmark result" in capsys.readouterr().err
