"""How many threads a library takes by itself on this machine, and why."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sparsecc.build.sources import SOURCES
from sparsecc.build.toolchain import find_compiler
from sparsecc.errors import ToolchainError
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.untrusted import check_members, parse_json

_SOURCE = Path(__file__).parent / "csrc" / "threads.c"
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Threads:
    """What the runtime finds.

    Attributes
    ----------
    threads : int
        That a library takes where nobody tells it a number.
    wish : int
        ``$SPARSECC_THREADS``, 0 if it is not set.
    cpus : int
        That the process may use, two of one core both counted.
    cores : int
        That these are on.
    best : int
        Cores that are fast enough for all to be waited for.
    quota : int
        CPUs that the process has time for.
    """

    threads: int
    wish: int
    cpus: int
    cores: int
    best: int
    quota: int

    @property
    def reason(self) -> str:
        """Why they are so many, in a line."""
        if self.wish:
            return f"SPARSECC_THREADS={self.wish}"
        found = f"{_count(self.cores, 'core')} with the {_count(self.cpus, 'CPU')} that it may use"
        if self.best < self.cores:
            found += f", of which the {self.best} fast ones are best"
        return found + (f", and a quota of {_count(self.quota, 'CPU')}" if self.quota < self.best else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def threads_here(*, cc: str | None = None) -> Threads:
    """Ask the runtime itself, by a small C program.

    Raises
    ------
    TargetError, ToolchainError
        It can't be compiled here, or fails.
    """
    with scratch_folder() as folder:
        program = folder / "threads"
        compiler = find_compiler(cc, triple=f"{platform.machine()}-linux-gnu")
        flags = ("-std=gnu11", "-O1", "-w", "-pthread", f"-I{SOURCES}")
        compiler.run((*flags, str(_SOURCE), "-o", str(program)), folder=folder)
        try:
            done = subprocess.run([str(program)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
            found = check_members(parse_json(done.stdout), needed=())
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise ToolchainError(f"counting this machine's threads failed: {error}") from error
    return Threads(**{name: int(value) for name, value in found.items()})
