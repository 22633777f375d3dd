"""Runs the measuring program here, or behind a command: an emulator, or ssh."""

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
from sparsecc.runtime.files import scratch_folder
from sparsecc.spaces.config import Config
from sparsecc.tuning.candidates import write_program
from sparsecc.tuning.runners.protocol import GarbageError, Reader, lost
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Failure, Outcome

#: seconds without a line after which a candidate hangs
_SILENCE_S = 60.0
#: seconds to wait before a connection is tried again, each time
_AGAIN_S = (1.0, 5.0)
#: exit code of ssh itself
_SSH_FAILED = 255


class CommandRunner:
    """Measures with one static program a batch.

    Parameters
    ----------
    command : str
        What to put before the program: nothing for this machine, ``qemu-aarch64``, ``taskset -c 1``. ``ssh host``
        copies the program there first and removes it afterwards.
    cc : str, optional
        C compiler to link with.
    silence_s : float
        Seconds without output after which a candidate is taken to hang.
    """

    flat = False

    def __init__(self, command: str = "", *, cc: str | None = None, silence_s: float = _SILENCE_S) -> None:
        try:
            self._prefix = tuple(shlex.split(command))
        except ValueError as error:
            raise UserError(f"runner: {command!r} can't be split into words ({error}); correct the quotes") from error
        self._cc, self._silence_s = cc, silence_s

    @property
    def where(self) -> str:
        """The command, or this machine."""
        return shlex.join(self._prefix) or "this machine"

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        """See :class:`~sparsecc.tuning.runners.Runner`."""
        options = ("--threads", str(threads), "--rounds", str(rounds))
        with scratch_folder() as folder:
            program = folder / "measure"
            write_program(task, configs, program, cc=self._cc)
            with self._copied(program) as command:
                for number, outcome in self._all(command, options, first=first, count=len(configs)):
                    yield configs[number], outcome

    def _all(
        self, command: Sequence[str], options: Sequence[str], *, first: int, count: int
    ) -> Iterator[tuple[int, Outcome]]:
        """Candidates from a number on; after one that crashes the program is started again with the next."""
        while first < count:
            reader, problem = Reader(), Failure("lost", "the program ended early")
            try:
                for number, outcome in reader.read(self._lines((*command, *options, "--from", str(first)))):
                    first = number + 1
                    yield number, outcome
            except GarbageError as error:
                problem = lost("garbage", str(error))
            except TimeoutError as error:
                problem = lost("hang", str(error))
            except ChildProcessError as error:
                problem = lost("crash", str(error))
            if first >= count:
                return
            if first == 0:  # the config that the cost model chose: without it there is nothing to compare with
                raise RunnerError(f"runner {self.where}: nothing can be measured ({problem.kind}: {problem.message})")
            yield first, problem
            first += 1

    def _lines(self, command: Sequence[str]) -> Iterator[str]:
        """Lines as the program prints them.

        Raises
        ------
        TimeoutError, ChildProcessError
            It is silent for too long (then it is killed), or ends with an error.
        """
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            advice = "correct --runner, or install it"
            raise RunnerError(f"runner: can't run {command[0]}: {error.strerror}; {advice}") from error
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

    @contextlib.contextmanager
    def _copied(self, program: Path) -> Iterator[tuple[str, ...]]:
        """The command that runs the program, wherever it is."""
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

    def _ssh(self, script: str, data: bytes) -> None:
        for wait_s in (*_AGAIN_S, None):
            done = subprocess.run((*self._prefix, script), input=data, capture_output=True)
            if done.returncode == 0:
                return
            if wait_s is None or done.returncode != _SSH_FAILED:
                break
            time.sleep(wait_s)
        said = done.stderr.decode(errors="replace").strip()
        raise RunnerError(f"runner {self.where}: {script.split(' ')[0]} failed with code {done.returncode}: {said}")


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
