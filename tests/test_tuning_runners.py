"""Candidates are built, checked and timed: here, behind a command, in an emulator, by devices that misbehave."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tuning_case import emulator, misbehaving, some, task_of, tasks

from sparsecc.errors import RunnerError, UserError
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.runners.protocol import GarbageError, Reader
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Failure, Round, Timing, judge

LINES = [
    "sparsecc-measure 1 2 AuthenticAMD-25-1",
    "begin 0", "error 0 1e-7", "round 0 100 2000 2010", "round 0 100 2000 1990", "end 0",
    "begin 1", "error 1 2e-7", "round 1 100 2000 1000", "end 1", "done",
]  # fmt: skip


def measure(task: Task, count: int = 4, command: str = "", **options):
    runner = CommandRunner(command, **options)
    return list(runner.measure(task, some(task, count), threads=1, rounds=2))


@pytest.mark.parametrize("layer", ["stem", "pointwise", "conv", "pool", "head"])
def test_every_kind_is_measured_here(layer):
    task = task_of(layer)
    found = measure(task)
    assert [config for config, _ in found] == some(task, 4)
    for _, outcome in found:
        assert isinstance(outcome, Timing), outcome
        assert outcome.error < 1e-5
        assert outcome.us > 0
        assert outcome.default_us > 0
        assert outcome.cpu != "unknown"
        assert 0.3 < outcome.ghz < 8


def test_kinds_of_the_tiny_network():
    assert {task.key.kind for task in tasks()} == {"conv", "chain", "window", "linear"}


@pytest.mark.parametrize(("target", "name"), [("aarch64", "qemu-aarch64"), ("armv7", "qemu-arm")])
def test_an_emulated_board(target, name):
    """The program is static: nothing of the other architecture is needed but the emulator."""
    command = emulator(name)
    for layer in ("stem", "pointwise", "conv", "head"):
        for _, outcome in measure(task_of(layer, target=target), 3, command):
            assert isinstance(outcome, Timing), outcome


def test_a_wrong_candidate_has_no_time(monkeypatch):
    task = task_of("pointwise")
    data = task.data
    wrong = data.expected.copy()
    wrong[np.flatnonzero(~np.isnan(wrong))[7]] += 1.0
    monkeypatch.setitem(task.__dict__, "data", replace(data, expected=wrong))
    for _, outcome in measure(task, 2):
        assert isinstance(outcome, Failure)
        assert outcome.kind == "wrong"
        assert "differs from the reference by" in outcome.message


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("crash", "crash", "killed by signal 6"),
        ("exit", "crash", "exit code 1: out of luck"),
        ("hang", "hang", "no output for 1 s"),
        ("garbage", "garbage", "nonsense"),
        ("end", "lost", "the program ended early"),
    ],
)
def test_a_device_that_fails_at_one_candidate(tmp_path, fault, kind, message):
    """The others are measured all the same."""
    task = task_of("pointwise")
    found = measure(task, 4, misbehaving(tmp_path, fault, at=2), silence_s=1.0)
    assert [config for config, _ in found] == some(task, 4)
    failure = found[2][1]
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert message in failure.message
    assert all(isinstance(found[i][1], Timing) for i in (0, 1, 3))


def test_a_device_that_talks_a_lot(tmp_path):
    """Megabytes of warnings must not stop the program."""
    noisy = tmp_path / "noisy"
    noisy.write_text('#!/bin/sh\nyes warning | head -c 1000000 >&2\nexec "$@"\n')
    noisy.chmod(0o755)
    assert all(isinstance(outcome, Timing) for _, outcome in measure(task_of("pointwise"), 2, str(noisy), silence_s=20))


def test_what_hangs_is_ended_with_all_that_it_started(tmp_path):
    command = misbehaving(tmp_path, "hang", at=1)
    wrapper = tmp_path / "wrapper"
    wrapper.write_text(f'#!/bin/sh\n{command} "$@"\ntrue\n')
    wrapper.chmod(0o755)
    found = measure(task_of("pointwise"), 2, str(wrapper), silence_s=1.0)
    assert isinstance(found[1][1], Failure)
    alive = [path for path in Path("/proc").glob("[0-9]*/cmdline") if command.encode() in _read(path)]
    assert alive == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def test_a_program_that_does_not_begin_ends_the_search():
    """Also when the first config's time is known already."""
    task = task_of("pointwise")
    with pytest.raises(RunnerError, match=r"nothing can be measured .crash: exit code 1"):
        list(CommandRunner("false").measure(task, some(task, 3), threads=1, rounds=1, first=1))


@pytest.mark.parametrize("fault", ["crash", "garbage"])
def test_a_device_that_runs_nothing(tmp_path, fault):
    with pytest.raises(RunnerError, match=f"nothing can be measured .{fault}"):
        measure(task_of("pointwise"), 2, misbehaving(tmp_path, fault, at=0))


def test_a_command_that_does_not_exist():
    with pytest.raises(RunnerError, match=r"can't run no-such-emulator: No such file.* correct --runner"):
        measure(task_of("pointwise"), 2, "no-such-emulator -L /")
    with pytest.raises(UserError, match="can't be split into words"):
        CommandRunner("'half")


SSH = """\
#!/bin/sh
# ssh [options] host command: runs the command here; fails the first {failures} times
test "$1" = -p && shift 2
echo "$1" >> {log}
test "$(wc -l < {log})" -le {failures} && exit 255
shift
exec sh -c "$*"
"""


def fake_ssh(folder: Path, *, failures: int) -> tuple[str, Path]:
    log, path = folder / "calls", folder / "ssh"
    path.write_text(SSH.format(log=log, failures=failures))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"{path} -p 22 pi@raspberrypi", log


def test_ssh_copies_the_program_and_removes_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sparsecc.runtime.command.AGAIN_S", (0.0, 0.0))
    command, log = fake_ssh(tmp_path, failures=1)
    before = set(Path("/tmp").glob("sparsecc-measure-*"))
    found = measure(task_of("pointwise"), 3, command)
    assert all(isinstance(outcome, Timing) for _, outcome in found)
    assert log.read_text() == "pi@raspberrypi\n" * 4  # one failure, copy, run, remove
    assert set(Path("/tmp").glob("sparsecc-measure-*")) == before


def test_a_connection_that_stays_lost(tmp_path, monkeypatch):
    monkeypatch.setattr("sparsecc.runtime.command.AGAIN_S", (0.0, 0.0))
    command, log = fake_ssh(tmp_path, failures=99)
    with pytest.raises(RunnerError, match=r"runner .*pi@raspberrypi: cat failed with code 255"):
        measure(task_of("pointwise"), 2, command)
    assert len(log.read_text().splitlines()) == 3


def test_the_lines_of_the_program():
    reader = Reader()
    found = dict(reader.read(LINES))
    assert reader.complete
    assert found[0].relative == pytest.approx(1.0)
    assert found[1].relative == pytest.approx(0.5)
    assert found[1].cpu == "AuthenticAMD-25-1"


@pytest.mark.parametrize("line", ["", "begin", "begin x", "error 1 1e-7", "round 0 1 2", "round 0 0 0 0", "end 3", "?"])
def test_other_lines_are_garbage(line):
    with pytest.raises(GarbageError):
        list(Reader().read([*LINES[:2], line]))


@pytest.mark.parametrize("line", ["hello", "sparsecc-measure 2 3 cpu", "begin 0"])
def test_another_program(line):
    with pytest.raises(GarbageError):
        list(Reader().read([line, *LINES]))


def test_disturbed_rounds_do_not_count():
    calm = [Round(100, 2000, 1000) for _ in range(5)]
    slow_clock, busy_neighbour = Round(150, 4000, 4000), Round(101, 4000, 1000)
    timing = judge([*calm, slow_clock, busy_neighbour], error=0.0, cpu="c")
    assert isinstance(timing, Timing)
    assert (timing.us, timing.default_us, timing.rounds, timing.disturbed) == (1.0, 2.0, 5, 2)
    assert isinstance(judge([], error=0.0, cpu="c"), Failure)
    for error in (2e-4, float("inf"), float("nan")):
        failure = judge(calm, error=error, cpu="c")
        assert isinstance(failure, Failure)
        assert failure.kind == "wrong"


def test_the_python_of_the_tests_is_not_needed_by_the_program(tmp_path):
    """The measuring program is static: no interpreter, no libraries."""
    from sparsecc.tuning.candidates import write_program

    program = tmp_path / "measure"
    task = task_of("head")
    write_program(task, some(task, 2), program)
    data = program.read_bytes()
    assert data[:4] == b"\x7fELF"
    assert b"ld-linux" not in data
    assert b"ld-musl" not in data
    assert sys.executable.encode() not in data
