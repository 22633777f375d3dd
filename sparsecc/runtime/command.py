"""Programs run here or behind a command: an emulator, or ssh."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from sparsecc.errors import RunnerError, UserError

#: seconds without a line after which a program hangs
SILENCE_S = 60.0
#: seconds to wait before a connection is tried again, each time
_AGAIN_S = (1.0, 5.0)
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
        if not self._prefix or Path(self._prefix[0]).name != "ssh":
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
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            advice = "correct --runner, or install it"
            raise RunnerError(f"runner: can't run {words[0]}: {error.strerror}; {advice}") from error
        assert process.stdout is not None, "a pipe was asked for"
        assert process.stderr is not None, "a pipe was asked for"
        try:
            yield from _lines_of(process, silence_s=self._silence_s)
            code = process.wait()
            if code:
                said = process.stderr.read(2000).decode(errors="replace").strip()
                raise ChildProcessError(f"{_ending(code)}{': ' + said if said else ''}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def _ssh(self, script: str, data: bytes) -> None:
        for wait_s in (*_AGAIN_S, None):
            done = subprocess.run((*self._prefix, script), input=data, capture_output=True)
            if done.returncode == 0:
                return
            if wait_s is None or done.returncode != _SSH_FAILED:
                break
            time.sleep(wait_s)
        said = done.stderr.decode(errors="replace").strip()
        raise RunnerError(f"runner {self}: {script.split(' ')[0]} failed with code {done.returncode}: {said}")


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


def _ending(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
