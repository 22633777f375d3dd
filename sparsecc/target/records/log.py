"""Files of records, a JSON document a line: read, appended to, merged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sparsecc.errors import OutputError, UserError
from sparsecc.kernels.config import Config
from sparsecc.runtime.files import new_file
from sparsecc.target.records.record import Record
from sparsecc.untrusted import parse_json, read_file

#: of a file; a record has about a thousand
_MOST_BYTES = 1 << 28
#: share of the most rounds, some of which may have been disturbed
_ENOUGH = 0.6


@dataclass(frozen=True)
class Line:
    """A line of a file.

    Attributes
    ----------
    text : str
        As it stands there.
    record : Record or None
        None for one that can't be used.
    problem : str
        Why, with the file and the line's number.
    """

    text: str
    record: Record | None
    problem: str = ""


@dataclass(frozen=True)
class Log:
    """What is in a file: its lines in order."""

    path: Path
    lines: tuple[Line, ...]

    @property
    def records(self) -> list[Record]:
        """Those that can be used."""
        return [line.record for line in self.lines if line.record is not None]

    @property
    def problems(self) -> list[str]:
        """One text a line that can't be used."""
        return [line.problem for line in self.lines if line.problem]


def read_log(path: Path) -> Log:
    """Read a file of records; lines that can't be used are kept, with the reason.

    Raises
    ------
    UserError
        The file can't be read.
    """
    try:
        data = read_file(path, most_bytes=_MOST_BYTES)
    except OSError as error:
        raise UserError(
            f"records: can't read {path}: {error.strerror}; give a file that 'sparsecc tune' wrote"
        ) from error
    lines = data.decode(errors="replace").split("\n")
    return Log(path, tuple(_line(text, f"{path}:{i}") for i, text in enumerate(lines, 1) if text.strip()))


def _line(text: str, where: str) -> Line:
    try:
        return Line(text, _parsed(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        return Line(text, None, f"{where}: skipped, {reason}")


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Record:
    """The record of a line. Kept: reading those that are shipped takes a small network's compilation a tenth longer."""
    data: Any = parse_json(text)
    if not isinstance(data, dict):
        raise TypeError("expected an object")
    return Record.from_json(data)


def append(path: Path, records: Iterable[Record]) -> None:
    """Add records to a file in one write, so that a process that is killed leaves whole lines.

    A file whose last line was cut off gets a new line first.

    Raises
    ------
    OutputError
        It can't be written.
    """
    text = "".join(to_line(record) for record in records)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            whole = size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
            data = ("\n" + text if text and not whole else text).encode()
            if os.write(descriptor, data) != len(data):
                raise OSError(28, "no space left for a whole record")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OutputError(f"records: can't write {path}: {error.strerror}; choose another --log") from error


def to_line(record: Record) -> str:
    """A record as a line."""
    return json.dumps(record.to_json(), separators=(",", ":")) + "\n"


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a file of records anew: complete, or not at all."""
    with new_file(path) as file:
        file.write("".join(line.rstrip("\n") + "\n" for line in lines).encode())


def merged(logs: Sequence[Log]) -> list[str]:
    """Lines of several files: each once, those of unknown kinds too, in the order of the files."""
    return list(dict.fromkeys(line.text.strip() for log in logs for line in log.lines if not _is_corrupt(line)))


def _is_corrupt(line: Line) -> bool:
    """True for what is no JSON object: a foreign or newer record is kept."""
    if line.record is not None:
        return False
    try:
        return not isinstance(parse_json(line.text), dict)
    except ValueError:
        return True


def best_of(records: Iterable[Record]) -> list[Record]:
    """The best record of every layer, target and number of threads, in the order of the first ones."""
    layers: dict[object, dict[Config, dict[Config, Record]]] = {}
    for record in records:
        by_default = layers.setdefault((record.target, record.threads, record.layer), {})
        group = by_default.setdefault(record.default, {})
        known = group.get(record.config)
        # a config that was measured again counts with the measurement of more rounds, the later one of equals
        if known is None or record.rounds >= known.rounds:
            group[record.config] = record
    return [fastest(_most_measured(list(by_default.values()))) for by_default in layers.values()]


def cautious(record: Record, *, least_gain: float) -> Record:
    """The record, or that of the cost model's config if the other one gains less than ``least_gain`` of its time.

    The least of many noisy figures is partly luck: on a machine that drifts by a fifth, configs that seemed 2 % faster
    made whole networks slower.
    """
    if record.config == record.default or record.relative <= 1 - least_gain:
        return record
    return replace(record, config=record.default, us=record.default_us)


def _most_measured(groups: Sequence[Mapping[Config, Record]]) -> list[Record]:
    """Of groups that were compared with different configs, the one with most rounds: they can't be told apart."""
    return list(max(groups, key=lambda group: sum(record.rounds for record in group.values())).values())


class Measured(Protocol):
    """What was measured of a config."""

    @property
    def rounds(self) -> int:
        """Rounds that it is the median of."""

    @property
    def relative(self) -> float:
        """Time as a share of the cost model's config's."""


M = TypeVar("M", bound=Measured)


def fastest(measured: Sequence[M]) -> M:
    """The least time relative to the cost model's config.

    A search measures its best configs again, in more rounds, for the least of many noisy figures is partly luck: where
    there are such measurements the others don't count.
    """
    most = max(m.rounds for m in measured)
    return min((m for m in measured if m.rounds >= _ENOUGH * most), key=lambda m: m.relative)
