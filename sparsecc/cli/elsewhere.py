"""Times a network on another machine, by the static program that a folder of it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparsecc.errors import RunnerError, UserError
from sparsecc.runtime.command import Command


@dataclass(frozen=True)
class Elsewhere:
    """What the program printed.

    Attributes
    ----------
    cpu : str
    threads : int
    memory_bytes : int
        The most that the program had.
    runs : tuple of float
        Seconds of every run, sorted.
    steps : tuple of float
        Median seconds of every step.
    """

    cpu: str
    threads: int
    memory_bytes: int
    runs: tuple[float, ...]
    steps: tuple[float, ...]


def time_elsewhere(
    library: Path, command: str, description: str, *, threads: int | None, runs: int | None, shape: int = 0
) -> Elsewhere:
    """Copy the library's benchmark to where the command leads, run it, and read what it prints.

    Raises
    ------
    UserError
        There is no such program beside the library, or it is of another network; ``description`` is the library's.
    RunnerError
        It can't be run there, or prints something else.
    """
    program = library.with_name(f"{library.stem}_bench")
    if not program.is_file():
        raise UserError(
            f"--runner: found no {program.name} beside {library}; compile to a folder (-o out/), which brings it"
        )
    options = ["--lines", "1", "--threads", str(threads or 0), *(["--runs", str(runs)] if runs else [])]
    options += ["--shape", str(shape)] if shape else []
    runner = Command(command)
    try:
        with runner.ready(program) as words:
            return _read(list(runner.lines((*words, *options))), library, description)
    except (ChildProcessError, TimeoutError, ValueError, IndexError) as error:
        raise RunnerError(f"runner {runner}: {program.name} failed there: {error}") from error


def _read(lines: list[str], library: Path, description: str) -> Elsewhere:
    head = lines[0].split()
    if head[:2] != ["sparsecc-bench", "1"] or lines[-1] != "done":
        raise ValueError(f"found {lines[0][:100]!r}, expected the output of a network's benchmark")
    if head[4] != f"{_hash(description):016x}":
        raise UserError(
            f"--runner: the _bench program beside {library} is of another network; compile to a folder anew"
        )
    words = [line.split() for line in lines[2:-1]]
    return Elsewhere(
        cpu=lines[1].removeprefix("cpu "),
        threads=int(head[2]),
        memory_bytes=int(next(w[1] for w in words if w[0] == "memory")) << 10,
        runs=tuple(sorted(float(w[1]) * 1e-9 for w in words if w[0] == "run")),
        steps=tuple(float(w[2]) * 1e-9 for w in words if w[0] == "step"),
    )


def _hash(text: str) -> int:
    """FNV-1a in 64 bits, as the program has it."""
    value = 14695981039346656037
    for byte in text.encode():
        value = (value ^ byte) * 1099511628211 % (1 << 64)
    return value
