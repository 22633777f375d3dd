"""How the command line ends early: exit codes, tracebacks, Ctrl-C and a closed pipe."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from cli_case import ROOT
from patience import PATIENCE_S

from sparsecc.cli import main
from sparsecc.cli.failure import guard
from sparsecc.errors import InternalError, LibraryError, NotSupportedError, UserError


def raising(error: BaseException):
    def execute(options: object) -> int:
        raise error

    return execute


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserError("wrong [bold]file[/bold] :smile:"), 2, "error: wrong [bold]file[/bold] :smile:\n"),
        (LibraryError("damaged"), 2, "error: damaged\n"),
        (NotSupportedError("no such operator"), 3, "error: no such operator\n"),
        (InternalError("odd"), 4, "error: odd\n--traceback shows where it happened\n"),
        (KeyError("x"), 1, "error: unexpected KeyError: 'x'\n--traceback shows where it happened\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_exit_codes(error, code, text, capsys):
    assert guard(raising(error), None) == code
    assert capsys.readouterr() == ("", text)


def test_traceback_on_demand(capsys, monkeypatch):
    assert guard(raising(UserError("wrong")), None, traceback=True) == 2
    assert "in execute" in capsys.readouterr().err
    for value, wanted in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("SPARSECC_TRACEBACK", value)
        guard(raising(UserError("wrong")), None)
        assert ("Traceback" in capsys.readouterr().err) is wanted


def test_traceback_option(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "m.so"), "--traceback"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c(made):
    process = subprocess.Popen(
        [sys.executable, "-m", "sparsecc", "bench", made.library, "--runs", "1000000000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        # a shell lets what it starts in the background ignore Ctrl-C, and its children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert "time runs" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_a_reader_that_has_seen_enough(made):
    process = subprocess.Popen(
        [sys.executable, "-m", "sparsecc", "inspect", made.library],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(PATIENCE_S) == 141
