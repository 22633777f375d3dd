"""What a board's record says: medians of whole networks, and whether it was calm."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

_BEGIN, _END = "sparsecc-board 1", "end"
_PROGRAM = re.compile(r"program (\S+) ([1-9]\d{0,2})")
_RUN = re.compile(r"run ([1-9]\d{0,17})")
_FACT = re.compile(r"(board|kernel|bits|governor|khz|millidegrees|throttled) ?(.*)")
_MS = 1e6
_DEGREES = 1e3


class RecordError(ValueError):
    """A file is no whole record; the message says which line is why."""


@dataclass(frozen=True)
class Timed:
    """A network with so many threads: median of its runs in milliseconds, and half of the runs' range about it."""

    program: str
    threads: int
    ms: float
    spread: float


@dataclass(frozen=True)
class Record:
    """What a board is, and how fast it was.

    Attributes
    ----------
    facts : dict
        As ``run.sh`` writes them; the temperature is the last one.
    timed : tuple of Timed
    """

    facts: dict[str, str]
    timed: tuple[Timed, ...]

    @property
    def was_throttled(self) -> bool:
        """True where the board says that it was slowed down, by heat or by its power supply."""
        return self.facts.get("throttled", "throttled=0x0") != "throttled=0x0"


def read_record(text: str, *, name: str) -> Record:
    """Read what ``run.sh`` wrote.

    Parameters
    ----------
    text : str
    name : str
        Of the file, for messages.

    Raises
    ------
    RecordError
        It does not begin or end as a record, or a program failed or was not timed.
    """
    lines = text.splitlines()
    if not lines or lines[0] != _BEGIN or lines[-1] != _END:
        raise RecordError(f"{name}: found no whole record, expected '{_BEGIN}' first and '{_END}' last; run it again")
    facts: dict[str, str] = {}
    programs: list[tuple[str, int, list[int]]] = []
    for number, line in enumerate(lines[1:-1], 2):
        if match := _PROGRAM.fullmatch(line):
            programs.append((match[1], int(match[2]), []))
        elif (match := _RUN.fullmatch(line)) and programs:
            programs[-1][2].append(int(match[1]))
        elif line == "failed":
            program = programs[-1][0] if programs else "a program"
            raise RecordError(f"{name}, line {number}: {program} failed on the board")
        elif match := _FACT.fullmatch(line):
            facts[match[1]] = match[2]
    return Record(facts, tuple(_timed(*program, name=name) for program in programs))


def _timed(program: str, threads: int, runs: list[int], *, name: str) -> Timed:
    if not runs:
        raise RecordError(f"{name}: found no timed run of {program} with {threads} threads, expected 15")
    median = statistics.median(runs)
    return Timed(program, threads, median / _MS, (max(runs) - min(runs)) / 2 / median)


def rows(records: Iterable[tuple[str, Record]]) -> list[list[str]]:
    """Rows of the table of :func:`heads`: a line for each network and number of threads."""
    found = []
    for _, record in records:
        board = record.facts.get("board") or record.facts.get("kernel", "?")
        khz, heat = record.facts.get("khz", ""), record.facts.get("millidegrees", "")
        clock = f"{int(khz) / 1e6:.1f} GHz" if khz.isdigit() else "?"
        heat = f"{int(heat) / _DEGREES:.0f} C" if heat.isdigit() else "?"
        calm = f"{clock}, {record.facts.get('governor') or '?'}, {heat}{', throttled' if record.was_throttled else ''}"
        for timed in record.timed:
            spread = f"{timed.ms:.2f} ms, {100 * timed.spread:.0f} %"
            found.append([board, timed.program, str(timed.threads), spread, calm])
    return found


def heads() -> list[str]:
    """Heads of the table."""
    told = "clock, governor, heat at the end"
    return ["board", "network, pattern, target", "threads", "median, half of the range", told]
