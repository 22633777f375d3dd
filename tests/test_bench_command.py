"""The benchmark's processes: each participant's, and a quick run of the real command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench_made import require

from bench import ROOT
from bench.__main__ import main
from bench.results.schema import load
from bench.rivals import RIVALS
from bench.rivals.protocol import Rival
from bench.running.client import Client, WorkerError

# --- participants --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_fit_the_protocol_and_import_no_engine(name):
    rival: Rival = RIVALS[name]
    assert (rival.name, isinstance(rival.ours, bool), isinstance(rival.uses_zeros, bool)) == (name, True, True)
    engines = {"torch", "tvm", "onnxruntime", "openvino", "ncnn", "MNN", "ai_edge_litert", "sparsecc", "matplotlib"}
    code = f"import sys, bench.rivals, bench.running.worker; print({engines} & set(sys.modules))"
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
    kept, computed = (sum(layer.macs for layer in one.layers) for one in (sparse, dense))
    # so few channels are left of a network of an eighth of the width that some of them nobody reads: neither library
    # computes those
    assert 0 < kept <= min(cell.work.kept_macs, computed)
    assert computed <= cell.work.dense_macs
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
