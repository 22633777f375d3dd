"""The benchmark: its arithmetic, its rounds against a scripted machine, and a quick run through the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nets
import numpy as np
import pytest
import torch
from bench_made import LIMITS, STEADY, made_cell, made_results, made_round, require
from torch import nn

from bench import ROOT
from bench.__main__ import main
from bench.client import Client, WorkerError
from bench.coherence import place, round_trip_ns
from bench.others import Use, Watch
from bench.peak import fma_gflops, higher, triad_gbs
from bench.results import Cell, Layer, Limits, Rules, load
from bench.rivals import RIVALS
from bench.rivals.protocol import Rival
from bench.rounds import Guard, counts, disturbance, play_rounds, rotated
from bench.size_and_build import Built
from bench.stats import drift, quantile, spread
from bench.summary import best_bar, choose, dense_ratio, summarise
from bench.tables import main as tables_main
from bench.tables import tables
from bench.work import count_work
from bench.worker import largest_error

# --- statistics ----------------------------------------------------------------------------------------------------


def test_spread_of_known_values():
    found = spread([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.median, found.count) == (3.0, 5)
    assert (found.p10, found.p90) == (pytest.approx(1.4), pytest.approx(4.6))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 10), (0.5, 20), (0.75, 25), (1.0, 30)])
def test_quantile_interpolates(share, expected):
    assert quantile([30, 10, 20], share) == expected


def test_drift_tells_a_step_from_noise():
    assert drift([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]) == pytest.approx(1 / 1.5)
    assert drift([1.0, 2.0, 1.0, 1.0, 2.0, 1.0]) == 0
    assert drift([7.0]) == 0


def test_spread_of_one_value_and_of_none():
    assert spread([2.0]).p10 == spread([2.0]).p90 == 2.0
    with pytest.raises(ValueError, match="no values"):
        spread([])


# --- correctness and work ------------------------------------------------------------------------------------------


def test_error_is_relative_to_the_largest_output():
    expected = [np.array([[1.0, -4.0]], np.float32)]
    assert largest_error([np.array([[1.5, -4.0]], np.float32)], expected) == pytest.approx(0.125)
    assert largest_error([np.array([[np.nan, -4.0]], np.float32)], expected) is None
    with pytest.raises(ValueError, match="shape"):
        largest_error([np.zeros(2, np.float32)], expected)


def test_work_is_counted_from_the_weights():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 1), nn.Flatten(), nn.Linear(8 * 4 * 4, 5))
    masks = nets.impose_1xn(model, 4, 0.75, include=["1"])
    found = count_work(model, torch.ones(1, 3, 6, 6), masks, n=4)
    dense, linear = 16 * 8 * 27, 128 * 5
    assert found.dense_macs == dense + 16 * 64 + linear == nets.multiply_adds(model, torch.ones(1, 3, 6, 6))
    assert found.kept_macs == dense + 16 * 16 + linear
    # four blocks are left of 2 rows x 8 input channels
    assert found.kept_bytes == 4 * (8 * 27 + 16 + linear) + 4 * 4


# --- rounds --------------------------------------------------------------------------------------------------------


def test_everyone_is_first_once():
    assert [rotated("abc", i)[0] for i in range(3)] == ["a", "b", "c"]
    assert rotated("abc", 4) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ([95.0, 90.0], "near"),
        ([58.0, 59.0], "one core"),
        ([58.0, 95.0], "mixed"),
        ([95.0, 325.0], "mixed"),
        ([325.0, 300.0], "far"),
        ([None, None], "any"),
        ([], "any"),
    ],
)
def test_place(probes, expected):
    assert place(probes) == expected


@pytest.mark.parametrize(
    ("use", "peak", "reason"),
    [
        (Use(0.02, 0.0), 0.99, None),
        (Use(0.5, 0.0), 0.99, "other programs used 50 % of a core"),
        (Use(0.0, 0.2), 0.99, "the host kept 20 % of a core"),
        (Use(0.0, 0.0), 0.6, "cores ran at 60 % of their peak"),
    ],
)
def test_disturbance(use, peak, reason):
    assert disturbance(use, peak) == reason


class Scripted:
    """A player whose runs take a fixed time."""

    pid = 1

    def __init__(self, ms: float) -> None:
        self.ms = ms

    def ask(self, op, **arguments):
        assert op == "time"
        return {"ms": [self.ms] * 3}


def scripted(peaks=(100.0,), distances=(None,), rounds=3, patience=3):
    """Rounds on a machine that behaves as told; the last figure stays."""
    peak, distance = list(peaks), list(distances)

    def following(values):
        return values.pop(0) if len(values) > 1 else values[0]

    guard = Guard(100.0, probe=True, peak=lambda: following(peak), distance=lambda: following(distance))
    players = {"a": Scripted(2.0), "b": Scripted(3.0)}
    return play_rounds(players, Rules(rounds=rounds, patience=patience), guard)


@pytest.fixture
def _quiet(monkeypatch):
    monkeypatch.setattr(Watch, "__init__", lambda self, own, player: None)
    monkeypatch.setattr(Watch, "use", lambda self: Use(0.0, 0.0))


@pytest.mark.usefixtures("_quiet")
class TestRounds:
    def test_undisturbed(self):
        rounds = scripted()
        assert [r.order for r in rounds] == [("a", "b"), ("b", "a"), ("a", "b")]
        assert all(counts(r) and r.ms == {"a": 2.0, "b": 3.0} and r.runs == {"a": 3, "b": 3} for r in rounds)

    def test_a_slow_core_costs_a_repetition(self):
        rounds = scripted(peaks=(100.0, 50.0, 100.0))
        assert [counts(r) for r in rounds] == [True, False, True, True]

    def test_patience_ends(self):
        assert len(scripted(peaks=(50.0,), rounds=2, patience=4)) == 8

    def test_far_and_mixed_rounds_do_not_count(self):
        near, far = 95.0, 300.0
        rounds = scripted(distances=(near, near, near, near, near, far, far, far, far, near), rounds=2)
        assert [r.place for r in rounds] == ["near", "mixed", "far", "near"]


def test_others_are_noticed():
    watch = Watch([])
    busy = subprocess.run([sys.executable, "-c", "import time; e=time.time()+.4\nwhile time.time()<e: pass"])
    assert busy.returncode == 0
    assert watch.use().others > 0.3


def test_busy_cores_of_a_player_are_counted():
    watch = Watch([], player=os.getpid())
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        pass
    assert 0.1 < watch.use().player < 1.5


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


# --- the machine ---------------------------------------------------------------------------------------------------


def test_limits_are_plausible():
    assert 0.1 < fma_gflops(16, seconds=0.001) < 1000
    assert 0.1 < triad_gbs(1 << 18, seconds=0.001) < 10_000


def test_the_higher_limits_count():
    one, other = Limits({"1": 90.0}, {"L2": 50.0}), Limits({"1": 100.0}, {"L2": 40.0})
    assert higher(one, other) == Limits({"1": 100.0}, {"L2": 50.0})


def test_distance_of_cores_is_plausible():
    ns = round_trip_ns()
    assert ns is None or 1 < ns < 1e7


# --- processes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_fit_the_protocol_and_import_no_engine(name):
    rival: Rival = RIVALS[name]
    assert (rival.name, isinstance(rival.ours, bool), isinstance(rival.uses_zeros, bool)) == (name, True, True)
    engines = {"torch", "tvm", "onnxruntime", "openvino", "ncnn", "MNN", "ai_edge_litert", "sparsecc", "matplotlib"}
    code = f"import sys, bench.rivals, bench.worker; print({engines} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_a_failing_participant_says_why(tmp_path):
    with Client(RIVALS["torch_eager"], tmp_path, threads=1) as client:
        with pytest.raises(WorkerError, match="nothing is loaded"):
            client.ask("time", warm_s=0, run_s=0, min_runs=1)
        with pytest.raises(WorkerError, match=r"FileNotFoundError.*input\.npy"):
            client.ask("load", threads=1)


def test_a_participant_that_ends_is_noticed(tmp_path):
    client = Client(RIVALS["torch_eager"], tmp_path, threads=1)
    client.close()
    with pytest.raises(ValueError, match="closed file"):
        client.ask("check")


def test_size_limits():
    built = Built(Cell("resnet50", 16, 0.75), seconds=61, peak_bytes=10, library_bytes=2_000_000, kept_bytes=1_000_000)
    assert built.allowed_bytes == 1_350_000
    assert len(built.failures) == 2
    assert not replace(built, seconds=59, library_bytes=1_350_000).failures


# --- the real command ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory):
    require("onnx", "onnxruntime")
    out = tmp_path_factory.mktemp("bench") / "results.json"
    thin = ["--nets", "mobilenet_v1", "--n", "16", "--sparsity", "0.75", "--threads", "1", "--width", "0.125"]
    chosen = ["--size", "64", "--rivals", "onnxruntime", "torch_eager", "--rounds", "2", "--quick"]
    command = [sys.executable, "-m", "bench", *thin, *chosen, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return command, done, load(out)


def test_quick_run_measures_everyone(quick_run):
    _, done, results = quick_run
    (cell,) = results.cells
    assert [p.name for p in cell.participants] == ["sparsecc", "sparsecc_dense", "onnxruntime", "torch_eager"]
    assert all(p.is_bar and p.version for p in cell.participants), cell.participants
    assert len(cell.rounds) == 2
    assert all(min(r.ms.values()) > 0 and set(r.ms) == {p.name for p in cell.participants} for r in cell.rounds)
    assert "error" in done.stderr.partition("onnxruntime 0.")[0]  # correctness is told before times


def test_quick_run_has_layers_with_work(quick_run):
    _, _, results = quick_run
    (cell,) = results.cells
    sparse, dense = cell.participants[:2]
    kept = sum(layer.macs for layer in sparse.layers)
    assert cell.work.kept_macs <= kept <= cell.work.dense_macs == sum(layer.macs for layer in dense.layers)
    assert all(layer.ms > 0 for layer in sparse.layers)


def test_quick_run_states_machine_and_limits(quick_run):
    _, done, results = quick_run
    assert results.machine.cpu
    assert {"python", "torch", "onnxruntime", "sparsecc", "sparsecc source"} <= set(results.machine.versions)
    assert results.limits.peak_gflops["1"] > 1
    assert set(results.limits.bandwidth_gbs) == {"L2", "L3", "DRAM"}
    assert "### Losses" in done.stdout
    assert str(Path.home()) not in done.stdout


def test_a_second_run_adds_what_is_missing(quick_run):
    command, done, _ = quick_run
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "0 cells to measure, 1 in" in again.stderr
    assert again.stdout == done.stdout
    other = subprocess.run([*command, "--rounds", "3"], cwd=ROOT, capture_output=True, text=True)
    assert other.returncode == 2
    assert "measured by other rules" in other.stderr
    assert "Traceback" not in other.stderr


@pytest.mark.parametrize("options", [["--nets", "no_such_net"], ["--sparsity", "1.5"], ["--rivals", "no_such_rival"]])
def test_bad_options_are_refused(options, capsys):
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert options[1] in capsys.readouterr().err
