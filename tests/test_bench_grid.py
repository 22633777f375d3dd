"""The benchmark's grid, its environments, and adding to earlier results."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import pytest
from bench_made import LIMITS, made_cell, made_results, made_round, require, steady

import bench.rivals.setup
from bench.cells.grid import Grid
from bench.machine.describe import source_digest
from bench.machine.peak import NO_LIMITS, higher
from bench.results.schema import Cell, Limits, Rules
from bench.rivals import RIVALS
from bench.rivals.environments import ENVIRONMENTS, Environment, is_set_up
from bench.rivals.mnn import block_pattern
from bench.running.earlier import earlier
from bench.running.estimate import duration, estimate

GRID = Grid(("resnet18",), (4, 16), (0.0, 0.5), (1, 2), ("mnn_sparse", "onnxruntime", "ncnn", "mnn"), carried=1)
DENSE = {"onnxruntime": 1e-6, "ncnn": 1e-6, "mnn": 3e-3}


def dense_cell(rounds, threads=1):
    return made_cell(rounds, errors=DENSE, threads=threads, net="resnet18", n=1, sparsity=0.0)


# --- the grid ------------------------------------------------------------------------------------------------------


def test_dense_networks_come_first_and_once():
    found = [(cell.n, cell.sparsity, cell.threads) for cell in GRID.cells()]
    assert found == [(1, 0.0, 1), (1, 0.0, 2), (4, 0.5, 1), (4, 0.5, 2), (16, 0.5, 1), (16, 0.5, 2)]
    assert [cell.is_dense for cell in GRID.cells()] == [True, True, False, False, False, False]


def test_the_fastest_dense_rival_meets_the_pruned_networks():
    rounds = steady(sparsecc_dense=4.0, onnxruntime=4.0, ncnn=3.0, mnn=1.0)  # MNN's result is wrong, so it is no bar
    done = [dense_cell(rounds)]
    pruned = Cell("resnet18", 4, 0.5)
    found = GRID.participants(pruned, done, LIMITS, wanted=2)
    assert found == ["sparsecc", "sparsecc_dense", "mnn_sparse", "ncnn"]
    assert replace(GRID, carried=2).participants(pruned, done, LIMITS, wanted=2)[3:] == ["onnxruntime", "ncnn"]
    assert GRID.size_of(pruned) == len(found)


def test_a_rival_that_was_not_in_the_dense_cell_meets_the_pruned_ones():
    done = [dense_cell(steady(sparsecc_dense=4.0, onnxruntime=4.0, ncnn=3.0, mnn=1.0))]
    grid = replace(GRID, rivals=(*GRID.rivals, "openvino"))
    assert grid.participants(Cell("resnet18", 4, 0.5), done, LIMITS, wanted=2)[3:] == ["ncnn", "openvino"]


def test_near_and_far_have_their_own_fastest():
    near = made_round("near", sparsecc_dense=4.0, onnxruntime=4.0, ncnn=3.0, mnn=1.0)
    far = made_round("far", sparsecc_dense=4.0, onnxruntime=3.0, ncnn=4.0, mnn=1.0)
    found = GRID.participants(Cell("resnet18", 4, 0.5, 2), [dense_cell([near, far], 2)], LIMITS, wanted=2)
    assert found == ["sparsecc", "sparsecc_dense", "sparsecc_one_thread", "mnn_sparse", "onnxruntime", "ncnn"]


@pytest.mark.parametrize(
    "done", [[], [dense_cell([made_round("mixed", sparsecc_dense=4.0, onnxruntime=4.0, ncnn=3.0)])]]
)
def test_without_a_dense_cell_all_take_part(done):
    found = GRID.participants(Cell("resnet18", 4, 0.5), done, LIMITS, wanted=2)
    assert set(found) - {"mnn"} == {"sparsecc", "sparsecc_dense", "mnn_sparse", "onnxruntime", "ncnn"}


def test_dense_cells_have_dense_participants():
    found = GRID.participants(Cell("resnet18", 1, 0.0), [], LIMITS, wanted=2)
    assert found == ["sparsecc_dense", "onnxruntime", "ncnn", "mnn"]
    assert GRID.size_of(Cell("resnet18", 1, 0.0)) == len(found)


# --- time ----------------------------------------------------------------------------------------------------------


def test_estimates_follow_what_was_measured():
    rules, (first, *_, last) = Rules(rounds=15), GRID.cells()
    guess = estimate([first, last], GRID, rules)
    assert 60 < guess < 3600
    done = [replace(dense_cell([]), seconds=7.0)]
    assert estimate([first], GRID, rules, done) == 7.0
    assert estimate([replace(first, threads=2)], GRID, rules, done) == 7.0
    assert estimate([first, last], GRID, rules, done) > 7.0 + 30


@pytest.mark.parametrize(("seconds", "text"), [(5, "1 min"), (600, "10 min"), (5400, "1 h 30 min")])
def test_duration(seconds, text):
    assert duration(seconds) == text


# --- earlier results -----------------------------------------------------------------------------------------------


def test_earlier_results_are_found(tmp_path):
    results, path = made_results(made_cell([])), tmp_path / "r.json"
    assert earlier(path, machine=results.machine, rules=results.rules) is None
    path.touch()
    assert earlier(path, machine=results.machine, rules=results.rules) is None
    results.save(path)
    assert earlier(path, machine=results.machine, rules=results.rules) == results
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]


def test_results_of_something_else_are_refused(tmp_path):
    results, path = made_results(made_cell([])), tmp_path / "r.json"
    results.save(path)
    other = replace(results.machine, cpu="another CPU")
    newer = replace(results.machine, versions={"python": "3.12", "torch": "2.13"})
    for machine, rules, message in [
        (other, results.rules, "of another machine: cpu 'a CPU', expected 'another CPU'"),
        (newer, results.rules, r"another version of python: 3\.11, expected 3\.12"),
        (results.machine, Rules(rounds=7), "by other rules"),
    ]:
        with pytest.raises(ValueError, match=message):
            earlier(path, machine=machine, rules=rules)


def test_the_digest_of_the_source_is_stable():
    assert source_digest() == source_digest()
    assert re.fullmatch("[0-9a-f]{12}", source_digest())


def test_limits_of_runs_on_other_threads_are_joined():
    one, two = Limits({"1": 90.0}, {"L2": 50.0}), Limits({"1": 80.0, "2": 160.0}, {"L2": 60.0})
    assert higher(one, two) == Limits({"1": 90.0, "2": 160.0}, {"L2": 60.0})
    assert higher(NO_LIMITS, one) == one


# --- environments --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_pins_are_versions_of_packages_and_nothing_else(name):
    lines = [line for line in ENVIRONMENTS[name].pins.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line) for line in lines), lines
    assert any(line.startswith("numpy==") for line in lines)


def test_every_environment_has_a_rival():
    used = {rival.environment for rival in RIVALS.values()}
    assert set(ENVIRONMENTS) <= used
    assert is_set_up("torch")


@pytest.fixture
def _here(monkeypatch, tmp_path):
    """Environments of nothing, made in a second: without pip."""

    def commands(environment):
        venv = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment.folder)]
        return [venv, [str(environment.python), "-c", f"import {', '.join(environment.modules)}"]]

    for folder, constant in (("pins", "_PINS"), ("environments", "_MADE")):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(f"bench.rivals.environments.{constant}", tmp_path / folder)
    monkeypatch.setattr(bench.rivals.setup, "setup_commands", commands)


def test_set_up_installs_the_pins_only():
    environment = ENVIRONMENTS["mnn"]
    _, install, attempt = bench.rivals.setup.setup_commands(environment)
    assert install[-3:] == ["-r", str(environment.pins), "--no-deps"]
    assert attempt[-1] == "import MNN, _tools"
    assert "--no-deps" not in bench.rivals.setup.setup_commands(ENVIRONMENTS["litert"])[1]


@pytest.mark.usefixtures("_here")
def test_set_up_is_done_once_and_again_when_the_pins_change(capsys):
    environment = Environment("nothing", ("json",))
    environment.pins.write_text("# nothing\n")
    assert bench.rivals.setup.set_up(environment) is None
    assert environment.python.exists()
    assert bench.rivals.setup.set_up(environment) is None
    assert "there already" in capsys.readouterr().out
    environment.pins.write_text("# nothing else\n")
    assert not bench.rivals.setup._is_current(environment)


@pytest.mark.usefixtures("_here")
def test_a_failing_set_up_says_why_and_leaves_nothing(monkeypatch, capsys):
    environments = {
        name: Environment(name, (module,)) for name, module in (("bad", "no_such_module"), ("good", "json"))
    }
    monkeypatch.setattr(bench.rivals.setup, "ENVIRONMENTS", environments)
    for environment in environments.values():
        environment.pins.write_text("")
    assert bench.rivals.setup.main([]) == 1
    told = capsys.readouterr()
    assert "bad: failed, the benchmark goes without it" in told.err
    assert "No module named 'no_such_module'" in told.err
    assert not environments["bad"].folder.exists()
    assert "good: done" in told.out


def test_unknown_environments_are_refused(capsys):
    with pytest.raises(SystemExit):
        bench.rivals.setup.main(["no_such_environment"])
    assert "no_such_environment" in capsys.readouterr().err


def test_the_pattern_for_mnn_is_what_protobuf_writes():
    require("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    number, text, message = 5, 9, 11  # types of fields
    schema = {
        "Simd": [("oc_blocks", 4, number, 3, "")],
        "Prune": [("type", 1, number, 1, ""), ("simd_oc_pruner_params", 3, message, 1, ".t.Simd")],
        "Algo": [("type", 1, number, 1, ""), ("prune_params", 3, message, 1, ".t.Prune")],
        "Pipeline": [("version", 1, text, 2, ""), ("algo", 2, message, 3, ".t.Algo")],
    }
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t")
    for name, fields in schema.items():
        made = file.message_type.add(name=name)
        for field, tag, kind, label, inner in fields:
            made.field.add(name=field, number=tag, type=kind, label=label, type_name=inner or None)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    pipeline = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Pipeline"))(version="0.0.0")
    prune = pipeline.algo.add(type=1).prune_params
    prune.type = 1
    prune.simd_oc_pruner_params.oc_blocks.append(4)
    assert block_pattern(4) == pipeline.SerializeToString()
