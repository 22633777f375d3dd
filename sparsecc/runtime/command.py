"""Programs run here or behind a command: an emulator, or ssh."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO
from uuid import uuid4

from sparsecc.errors import RunnerError, UserError
from sparsecc.runtime.interrupts import uninterrupted

#: seconds without a line after which a program hangs
SILENCE_S = 60.0
#: seconds to wait before a connection is tried again, each time
AGAIN_S = (1.0, 5.0)
#: bytes of a program's errors that are shown
_MOST_SAID = 2000
#: exit code of ssh itself
_SSH_FAILED = 255


class Command:
    """What is put before a program.

    Parameters
    ----------
    command : str
        Nothing for this machine, ``qemu-aarch64``, ``taskset -c 1``. ``ssh host`` copies the program there first and
        removes it afterwards.
    silence_s : float
        Seconds without output after which a program is taken to hang.

    Raises
    ------
    UserError
        Its quotes don't match.
    """

    def __init__(self, command: str = "", *, silence_s: float = SILENCE_S) -> None:
        try:
            self._prefix = tuple(shlex.split(command))
        except ValueError as error:
            raise UserError(f"runner: {command!r} can't be split into words ({error}); correct the quotes") from error
        self._silence_s = silence_s

    def __str__(self) -> str:
        return shlex.join(self._prefix) or "this machine"

    @contextlib.contextmanager
    def ready(self, program: Path) -> Iterator[tuple[str, ...]]:
        """The words that run the program, wherever it is, for as long as the block lasts.

        Raises
        ------
        RunnerError
            It can't be copied.
        """
        if not self._copies:
            yield (*self._prefix, str(program))
            return
        place = f"/tmp/sparsecc-measure-{uuid4().hex}"
        self._ssh(f"cat > {place} && chmod +x {place}", program.read_bytes())
        try:
            yield (*self._prefix, place)
        finally:
            with contextlib.suppress(RunnerError):
                self._ssh(f"rm -f {place}", b"")

    def lines(self, words: Sequence[str]) -> Iterator[str]:
        """Run, and give lines as they are printed.

        Raises
        ------
        RunnerError
            The command is not there.
        TimeoutError, ChildProcessError
            The program is silent for too long (then it is killed), or ends with an error.
        """
        # a file takes whatever it says of errors: a pipe that nobody reads would stop it
        with tempfile.TemporaryFile() as said, self._started(words, said) as process:
            try:
                yield from _lines_of(process, silence_s=self._silence_s)
                code = process.wait()
                if code:
                    said.seek(0)
                    text = said.read(_MOST_SAID).decode(errors="replace").strip()
                    raise ChildProcessError(f"{self._ending(code)}{': ' + text if text else ''}")
            finally:
                # what it started must end with it: a session of their own is one group
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _started(self, words: Sequence[str], said: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            with uninterrupted():
                return subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, start_new_session=True
                )
        except OSError as error:
            advice = "correct --runner, or install it"
            raise RunnerError(f"runner: can't run {words[0]}: {error.strerror}; {advice}") from error

    def _ssh(self, script: str, data: bytes) -> None:
        for wait_s in (*AGAIN_S, None):
            with tempfile.TemporaryFile() as said:
                words = (*self._prefix, script)
                code = subprocess.run(words, input=data, stdout=subprocess.DEVNULL, stderr=said).returncode
                said.seek(0)
                text = said.read(_MOST_SAID).decode(errors="replace").strip()
            if code == 0:
                return
            if wait_s is None or code != _SSH_FAILED:
                break
            time.sleep(wait_s)
        raise RunnerError(f"runner {self}: {script.split(' ')[0]} failed with code {code}: {text}")

    def _ending(self, code: int) -> str:
        if code == _SSH_FAILED and self._copies:
            return "the connection was lost"
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    @property
    def _copies(self) -> bool:
        return bool(self._prefix) and Path(self._prefix[0]).name == "ssh"


def _lines_of(process: subprocess.Popen[bytes], *, silence_s: float) -> Iterator[str]:
    assert process.stdout is not None, "a pipe was asked for"
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(silence_s):
                raise TimeoutError(f"no output for {silence_s:g} s")
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")
