"""A command that is told to stop: its exit code, what it says, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_case import ROOT
from patience import PATIENCE_S

from sparsecc import _tvm
from sparsecc._tvm import tvm
from sparsecc.cli.failure import guard
from sparsecc.cli.signals import stoppable
from sparsecc.runtime.interrupts import uninterrupted

HANDLERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _handlers_come_back() -> Iterator[None]:
    before = [signal.getsignal(number) for number in HANDLERS], sys.unraisablehook
    yield
    assert ([signal.getsignal(number) for number in HANDLERS], sys.unraisablehook) == before


# --- in one process ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes_through_tvm(error: type[BaseException]) -> None:
    """As with Ctrl-C in a function of ours that TVM calls; without the command line and its handlers too."""

    @tvm.transform.module_pass(opt_level=0, name="tests.Interrupted")
    def interrupted(module: object, context: object) -> object:
        raise error

    with pytest.raises(error):
        tvm.transform.Sequential([interrupted])(_tvm.IRModule({}))


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted\n"),
        (signal.SIGTERM, 143, "terminated\n"),
        (signal.SIGHUP, 129, "terminated\n"),
    ],
)
def test_signals_are_told_whatever_other_code_makes_of_them(capsys, number: int, code: int, said: str) -> None:
    def execute(options: str) -> int:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            if options == "as an error":
                raise RuntimeError("it is not known why") from None
            raise
        raise AssertionError("the signal had no effect")

    for options in ("as an error", "as it is"):
        assert guard(execute, options, traceback=True) == code
        assert capsys.readouterr() == ("", said)


def test_an_interrupt_in_a_destructor_comes_again(capsys) -> None:
    class Swallows:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def execute(options: object) -> int:
        Swallows()
        time.sleep(20)
        raise AssertionError("nothing came")

    assert guard(execute, None) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_other_errors_of_destructors_are_still_told() -> None:
    class Fails:
        def __del__(self) -> None:
            raise ValueError("of a destructor")

    told: list[type[BaseException]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))
        with stoppable():
            Fails()
    assert told == [ValueError]


def test_a_signal_waits_for_the_end_of_a_block() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            signal.raise_signal(signal.SIGTERM)
            done.append(stop.number)

    with stoppable() as stop, pytest.raises(KeyboardInterrupt):
        work()
    assert (done, stop.number) == ([0], signal.SIGTERM)


def test_signals_that_the_process_ignores_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert not stop
    finally:
        signal.signal(signal.SIGHUP, before)


# --- whole commands ------------------------------------------------------------------------------------------------

#: stands in for a C compiler: a child of its own, and files where compilers keep theirs
SLOW_COMPILER = """#!/bin/sh
[ "$1" = -print-prog-name=ar ] && { echo ar; exit 0; }
sleep 987654321 &
echo text > "$TMPDIR/left"
echo $! > "$SLOW_PID"
wait
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_compile_stops_with_all_that_it_started(made, tmp_path: Path, number: int, code: int) -> None:
    compiler, pid, place, out = (tmp_path / name for name in ("cc", "pid", "tmp", "out"))
    compiler.write_text(SLOW_COMPILER)
    compiler.chmod(0o755)
    place.mkdir()
    out.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "sparsecc", "compile", made.model, "-o", out / "m.so", "--cc", compiler],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place), "SLOW_PID": str(pid)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if pid.exists() and pid.read_text().endswith("\n"):
                break
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=PATIENCE_S)[1]
    finally:
        process.kill()
    assert (process.returncode, said.splitlines()[-1]) == (code, "terminated" if code == 143 else "interrupted")
    assert "Traceback" not in said
    for _ in range(1200):
        if not alive(int(pid.read_text())):
            break
        time.sleep(0.05)
    else:
        pytest.fail("what the compiler started is still there")
    assert list(out.iterdir()) == []
    assert [path.name for path in place.iterdir() if path.name != "torchinductor_root"] == []


def commands(model: Path, out: Path) -> dict[str, tuple[object, ...]]:
    return {
        "compile": ("compile", model, "-o", out / "m.so"),
        "tune": ("tune", model, "--log", out / "log.jsonl", "--trials", 40),
        "advise": ("advise", model),
    }


def interrupted(process: subprocess.Popen[str]) -> bool:
    """Interrupt a process that still runs; False for one that had ended.

    It is stopped first, so that it can't end between the question and the signal.
    """
    process.send_signal(signal.SIGSTOP)
    if process.returncode is not None:  # it was found to have ended
        return False
    state = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert state is not None
    if state.si_code != os.CLD_STOPPED:
        return False
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    return True


@pytest.mark.slow
@pytest.mark.parametrize("command", ["compile", "tune", "advise"])
def test_ctrl_c_at_any_moment(made, tmp_path: Path, command: str) -> None:
    """Thirty moments from the start of Python to the end of the command, as long as its second run lasts."""
    moments, lasted, tries = 30, 0.0, 0
    for moment in range(-2, moments):
        place, out = tmp_path / f"{moment}" / "tmp", tmp_path / f"{moment}" / "out"
        place.mkdir(parents=True)
        out.mkdir()
        started, told = time.monotonic(), False
        process = subprocess.Popen(
            [sys.executable, "-m", "sparsecc", *map(str, commands(made.model, out)[command])],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "TMPDIR": str(place)},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        if moment >= 0:
            time.sleep(0.15 + (lasted - 0.15) * moment / moments)
            told = interrupted(process)
        said = process.communicate(timeout=PATIENCE_S)[1]
        lasted = time.monotonic() - started if moment < 0 else lasted
        tries += told
        # before and after the command the signal itself ends the process: a shell shows 130 as well
        assert process.returncode in ((130, -signal.SIGINT) if told else (0,)), (moment, said)
        assert "Traceback" not in said
        assert [path.name for path in place.iterdir() if path.name != "torchinductor_root"] == []
        assert not [path.name for path in out.iterdir() if path.name.startswith(".")]
    assert tries > moments // 2
