"""Runs the measuring program here, or behind a command: an emulator, or ssh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sparsecc.errors import RunnerError
from sparsecc.kernels.config import Config
from sparsecc.runtime.command import SILENCE_S, Command
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.tuning.candidates import write_program
from sparsecc.tuning.runners.protocol import GarbageError, Reader, lost
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Failure, Outcome


class CommandRunner:
    """Measures with one static program a batch.

    Parameters
    ----------
    command : str
        What to put before the program; see :class:`~sparsecc.runtime.command.Command`.
    cc : str, optional
        C compiler to link with.
    silence_s : float
        Seconds without output after which a candidate is taken to hang.
    """

    flat = False

    def __init__(self, command: str = "", *, cc: str | None = None, silence_s: float = SILENCE_S) -> None:
        self._command, self._cc = Command(command, silence_s=silence_s), cc

    @property
    def where(self) -> str:
        """The command, or this machine."""
        return str(self._command)

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        """See :class:`~sparsecc.tuning.runners.Runner`."""
        with scratch_folder() as folder:
            program = folder / "measure"
            write_program(task, configs, program, cc=self._cc)
            for number, outcome in self.run(program, len(configs), threads=threads, rounds=rounds, first=first):
                yield configs[number], outcome

    def run(
        self, program: Path, count: int, *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[int, Outcome]]:
        """The same for a program that is written, by the numbers of its ``count`` candidates."""
        options = ("--threads", str(threads), "--rounds", str(rounds))
        with self._command.ready(program) as words:
            yield from self._all((*words, *options), first=first, count=count)

    def _all(self, words: Sequence[str], *, first: int, count: int) -> Iterator[tuple[int, Outcome]]:
        """Candidates from a number on; after one that crashes the program is started again with the next."""
        while first < count:
            reader, problem = Reader(), Failure("lost", "the program ended early")
            try:
                for number, outcome in reader.read(self._command.lines((*words, "--from", str(first)))):
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
            # without the config that the cost model chose there is nothing to compare with; and a program that did not
            # even begin will not begin with the next one
            if first == 0 or not reader.begun:
                raise RunnerError(f"runner {self.where}: nothing can be measured ({problem.kind}: {problem.message})")
            yield first, problem
            first += 1
