"""The whole way: a network is tuned, its records choose the kernels of a library; on the command line, too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import PATIENCE_S
from tuning_case import example, misbehaving, tiny_net

import sparsecc
from sparsecc.cli import main
from sparsecc.errors import RunnerError, UserError
from sparsecc.target.records.log import best_of, read_log
from sparsecc.tuning.search import Event
from sparsecc.tuning.state import TaskState
from sparsecc.tuning.tasks import KernelTask

TARGET = "x86-64-v3"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, sparsecc.Tuned]:
    """The tiny network, tuned here."""
    log = tmp_path_factory.mktemp("tuned") / "tiny.jsonl"
    return log, sparsecc.tune(tiny_net(), TARGET, log=log, trials=75, example_inputs=example())


def test_what_a_search_returns(tuned):
    log, result = tuned
    names = [name for layer in result.layers for name in layer.names]
    assert [name for name in names if name != "depthwise"] == ["stem", "pointwise", "conv", "pool", "head"]
    assert ("depthwise" in names) != result.joins[0].config["joined"]
    assert all(layer.us is not None and layer.us <= layer.default_us for layer in result.layers)
    assert 0 < result.ms <= result.default_ms
    assert result.bugs == ()
    records = read_log(log).records
    assert len([r for r in records if r.trial]) == len({(r.layer, r.config) for r in records if r.trial}) <= 75
    assert {r.target for r in records} == {TARGET}
    assert [pair.names for pair in result.joins] == [("stem",)]
    assert result.joins[0].config["kernel"] == "join"
    assert all(set(r.versions) == {"sparsecc", "apache-tvm", "torch"} for r in records)


def library_of(log: Path | None, folder: Path) -> tuple[sparsecc.Compiled, bytes]:
    lib = sparsecc.compile(tiny_net(), TARGET, example_inputs=example(), schedules=log)
    lib.save(folder / "lib.so")
    return lib, (folder / "lib.so").read_bytes()


def test_replay_is_the_same_library_and_says_so(tuned, tmp_path):
    log, result = tuned
    lib, data = library_of(log, tmp_path)
    _, again = library_of(log, tmp_path)
    assert data == again
    chosen = {step["key"]: step["chosen_by"] for step in lib.report.steps}
    for layer in result.layers:
        assert chosen[layer.names[0]] == "record"
    assert f"{len(result.layers)} of {len(lib.report.steps)} kernel calls" in str(lib.report)
    best = {layer.names[0]: layer.config for layer in result.layers}
    steps = {step["key"]: step["config"] for step in lib.report.steps}
    assert steps["conv"] == {k: v for k, v in best["conv"].items() if k not in ("kernel", "block_n")}
    torch.testing.assert_close(lib(*example()), tiny_net()(*example()).detach(), rtol=1e-4, atol=1e-5)


def test_without_records_the_cost_model_decides(tmp_path):
    lib, _ = library_of(None, tmp_path)
    assert {step["chosen_by"] for step in lib.report.steps} <= {"cost model", ""}


def test_compiling_with_records_imports_no_tuner(tuned, tmp_path):
    log, _ = tuned
    torch.export.save(torch.export.export(tiny_net(), example()), tmp_path / "tiny.pt2")
    script = (
        "import sys, sparsecc\n"
        f"sparsecc.compile({str(tmp_path / 'tiny.pt2')!r}, {TARGET!r}, schedules={str(log)!r})\n"
        "print([m for m in sys.modules if m.startswith(('xgboost', 'sparsecc.tuning', 'tornado', 'scipy'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_half_the_log_twice_is_the_whole(tuned, tmp_path):
    """What two people measured, merged, has the same best as one log of both."""
    log, _ = tuned
    lines = log.read_text().splitlines(keepends=True)
    halves = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for half, path in enumerate(halves):
        path.write_text("".join(lines[half::2]))
    both = tmp_path / "both.jsonl"
    assert main(["schedules", "merge", *map(str, halves), "-o", str(both)]) == 0
    assert set(best_of(read_log(both).records)) == set(best_of(read_log(log).records))


COMMAND = """\
import sys, torch
sys.path[:0] = {path!r}
from tuning_case import example, tiny_net
import sparsecc
sparsecc.tune(tiny_net(), {target!r}, log={log!r}, trials={trials}, example_inputs=example())
"""


def test_kill_in_the_middle_then_go_on(tmp_path):
    log = tmp_path / "killed.jsonl"
    text = COMMAND.format(path=sys.path, target=TARGET, log=str(log), trials=45)
    process = subprocess.Popen([sys.executable, "-c", text], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    while (len(log.read_text().splitlines()) if log.exists() else 0) < 10 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = read_log(log)
    assert len(kept.records) >= 10
    assert kept.problems == []
    events: list[Event] = []
    sparsecc.tune(tiny_net(), TARGET, log=log, trials=16, example_inputs=example(), on_event=events.append)
    known = {(r.layer, r.config) for r in kept.records}
    assert not [e for e in events if e.trial and (e.state.task.key, e.config) in known]
    assert read_log(log).records[: len(kept.records)] == kept.records


def test_a_wrong_candidate_is_reported_and_not_recorded(tmp_path, monkeypatch, capsys):
    """The reference is bent for one layer, as if its kernels computed something else."""
    data = KernelTask.data.func

    def bent(task: KernelTask):
        right = data(task)
        return replace(right, expected=right.expected + 1.0) if "pointwise" in task.names else right

    monkeypatch.setattr(KernelTask, "data", property(bent))
    log, model = tmp_path / "wrong.jsonl", tmp_path / "tiny.pt2"
    torch.export.save(torch.export.export(tiny_net(), example()), model)
    code = main(["tune", str(model), "--log", str(log), "--trials", "16", "--target", TARGET])
    error = capsys.readouterr().err
    assert code == 4
    assert "a candidate differs from the reference" in error
    assert "please report" in error
    assert not [r for r in read_log(log).records if r.layer.spec.oc == 32 and r.layer.spec.kh == 1]
    dumped = sorted(path.suffix for path in (tmp_path / "wrong.bugs").iterdir())
    assert dumped.count(".json") == dumped.count(".py") > 0
    [facts] = [json.loads(p.read_text()) for p in list((tmp_path / "wrong.bugs").glob("*.json"))[:1]]
    assert facts["target"] == TARGET


def test_the_command_line(tmp_path, capsys):
    log, model, plot = tmp_path / "tiny.jsonl", tmp_path / "tiny.pt2", tmp_path / "curve.svg"
    torch.export.save(torch.export.export(tiny_net(), example()), model)
    options = ["--log", str(log), "--trials", "16", "--target", TARGET]
    assert main(["tune", str(model), *options, "--plot", str(plot)]) == 0
    shown = capsys.readouterr()
    assert "all of them:" in shown.out
    assert "trial 16/16" in shown.err
    assert "pairs of layers, one kernel or two: 1 (1 different); 0 known measurements" in shown.err
    assert "pairs of a convolution and the window kernel after it:" in shown.out
    assert "layers that several algorithms compute: 1 (1 different); 0 known measurements" in shown.err
    assert "algorithms of 3x3 convolutions: " in shown.out
    assert plot.read_text().startswith("<?xml")
    assert main(["tune", str(model), *options[:-2], "--target", TARGET, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"log", "default_ms", "ms", "layers", "joins", "algorithms", "bugs"} == set(document)

    assert main(["schedules", "list", str(log)]) == 0
    assert "conv 1x32x10x10" in capsys.readouterr().out
    assert main(["schedules", "list", str(log), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    best = tmp_path / "best.jsonl"
    assert main(["schedules", "prune", str(log), "-o", str(best)]) == 0
    assert len(best.read_text().splitlines()) == len(listed)
    assert main(["schedules", "prune", str(log), "-o", str(best), "--least-gain", "0.999"]) == 0
    assert all(record.config == record.default for record in read_log(best).records)
    assert main(["schedules", "list", str(best), "--least-gain", "0.1"]) == 2
    assert main(["schedules", "prune", str(log), "-o", str(best)]) == 0
    assert main(["schedules", "check", str(best)]) == 0
    best.write_text(best.read_text() + "{}\n")
    assert main(["schedules", "check", str(best)]) == 2
    assert f"{best}:{len(listed) + 1}: skipped" in capsys.readouterr().err

    library = tmp_path / "tiny.so"
    assert main(["compile", str(model), "-o", str(library), "--target", TARGET, "--schedules", str(best)]) == 0
    assert "by record" in capsys.readouterr().out
    assert main(["inspect", str(library)]) == 0
    assert "by record" in capsys.readouterr().out


def test_ctrl_c_keeps_what_was_measured(tmp_path):
    log, model = tmp_path / "tiny.jsonl", tmp_path / "tiny.pt2"
    torch.export.save(torch.export.export(tiny_net(), example()), model)
    command = [sys.executable, "-m", "sparsecc", "tune", str(model), "--log", str(log), "--trials", "500"]
    # a parent that ignores Ctrl-C would hand that down
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    deadline = time.monotonic() + PATIENCE_S
    while (len(log.read_text().splitlines()) if log.exists() else 0) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "measurements of this search are in" in error
    assert "the same command goes on from there" in error
    assert read_log(log).problems == []
    assert len(read_log(log).records) >= 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials: found 0, expected a positive number"),
        ({"minutes": -1}, "minutes: found -1"),
        ({"threads": 0}, "threads: found 0"),
        ({"threads": None}, "threads: found None, expected a positive number"),
        ({"log": "/no/such/folder/x.jsonl"}, "no such folder|doesn't exist|No such file"),
        ({"target": "z80"}, "target: found 'z80'"),
        ({"runner": "'half"}, "can't be split into words"),
    ],
)
def test_mistakes(tmp_path, options, message):
    given = {"log": tmp_path / "x.jsonl", "target": TARGET, "example_inputs": example(), **options}
    with pytest.raises(UserError, match=message):
        sparsecc.tune(tiny_net(), **given)


def test_a_log_that_is_something_else(tmp_path):
    log = tmp_path / "model.pt2"
    log.write_bytes(b"PK\x03\x04 not records\n")
    with pytest.raises(UserError, match="holds no record"):
        sparsecc.tune(tiny_net(), TARGET, log=log, example_inputs=example())
    assert log.read_bytes() == b"PK\x03\x04 not records\n"


def test_mistakes_on_the_command_line(tmp_path, capsys):
    model = tmp_path / "tiny.pt2"
    model.write_bytes(b"")
    log = ["--log", str(tmp_path / "x.jsonl")]
    for options, message in (
        (["--plot", "curve.txt"], "found suffix '.txt' in curve.txt, expected .svg, .png, .pdf"),
        (["--tracker", "localhost:1"], "--tracker and --key go together"),
        (["--key", "rpi4"], "--tracker and --key go together"),
        (["--tracker", "h:1", "--key", "k", "--runner", "r"], "exclude each other"),
        (["--tracker", "nowhere", "--key", "k"], "expected HOST:PORT"),
    ):
        assert main(["tune", str(model), *log, *options]) == 2
        assert message in capsys.readouterr().err
    for options, message in (
        (["merge", "a", "b"], "name the file to write with -o"),
        (["list", "a", "-o", "b"], "leave out -o"),
        (["list", str(tmp_path / "none")], "can't read"),
    ):
        assert main(["schedules", *options]) == 2
        assert message in capsys.readouterr().err


def test_a_runner_that_runs_nothing_ends_the_search(tmp_path):
    with pytest.raises(RunnerError, match="nothing can be measured"):
        sparsecc.tune(
            tiny_net(), TARGET, log=tmp_path / "x.jsonl", trials=5, example_inputs=example(),
            runner=misbehaving(tmp_path, "crash", at=0),
        )  # fmt: skip


def test_same_layers_are_one_task(tmp_path):
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Conv2d(8, 8, 1), torch.nn.Conv2d(8, 8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.b(torch.relu(self.a(x))))

    states: list[TaskState] = []

    def stop(found: Sequence[TaskState]) -> None:
        states.extend(found)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sparsecc.tune(
            Twice(), TARGET, log=tmp_path / "unused.jsonl",
            example_inputs=(torch.zeros(1, 8, 8, 8),), on_start=stop,
        )  # fmt: skip
    assert [state.task.names for state in states] == [("a", "b")]
    assert np.isfinite(states[0].task.data.expected).any()
