"""The benchmark's side of a participant's process."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import ROOT
from bench.rivals.environments import ENVIRONMENTS
from bench.rivals.protocol import Rival

_TIMEOUT_S = 900.0  # the longest conversion is a fraction of it


class WorkerError(RuntimeError):
    """The participant ``name`` can't do what it was asked; the message is for the results."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Client:
    """A participant's process; stopped by the system between requests, so that its threads can't spin.

    Parameters
    ----------
    rival : Rival
    folder : Path
        The cell's files; the process writes its messages to ``<name>.log`` in it.
    threads : int
        Also told to the libraries below an engine, by the environment.
    """

    def __init__(self, rival: Rival, folder: Path, *, threads: int) -> None:
        self._name, self._log = rival.name, folder / f"{rival.name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                (_python(rival), "-m", "bench.running.worker", rival.name, str(folder)),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0, cwd=ROOT,
                env={**os.environ, **_thread_variables(threads), "PYTHONPATH": _search_path()},
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and wait for its answer; WorkerError when there is none, or when it says so."""
        self._process.send_signal(signal.SIGCONT)
        try:
            self._stdin.write(json.dumps({"op": op, **arguments}).encode() + b"\n")
        except BrokenPipeError:
            raise self._ended() from None
        answer: dict[str, Any] = json.loads(self._line())
        self._process.send_signal(signal.SIGSTOP)
        if "failed" in answer:
            raise WorkerError(self._name, answer["failed"])
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    def _line(self) -> bytes:
        """The next line of its output."""
        output, end, line = self._process.stdout, time.monotonic() + _TIMEOUT_S, b""
        assert output is not None
        while not line.endswith(b"\n"):
            if not select.select([output], [], [], max(0.0, end - time.monotonic()))[0]:
                raise WorkerError(self._name, f"no answer within {_TIMEOUT_S:.0f} s")
            part = os.read(output.fileno(), 1 << 16)
            if not part:
                raise self._ended()
            line += part
        return line

    def _ended(self) -> WorkerError:
        code = self._process.wait()
        last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
        return WorkerError(self._name, f"its process ended with code {code}: {''.join(last) or 'no message'}")


def _python(rival: Rival) -> str:
    environment = ENVIRONMENTS.get(rival.environment)
    return str(environment.python) if environment and environment.stamp.exists() else sys.executable


def _search_path() -> str:
    return os.pathsep.join([str(ROOT), str(ROOT / "examples"), *filter(None, [os.environ.get("PYTHONPATH")])])


def _thread_variables(threads: int) -> dict[str, str]:
    return {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
