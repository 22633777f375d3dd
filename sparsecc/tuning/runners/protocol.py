"""The lines that the measuring program prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sparsecc.tuning.timing import Failure, Outcome, Round, judge

#: more than this is no output of the program
_LONGEST_LINE = 400


class GarbageError(ValueError):
    """A line that the program does not print."""


@dataclass
class Reader:
    """Turns lines into outcomes.

    Attributes
    ----------
    started : int or None
        The candidate that has begun and not ended: the one to blame for a crash.
    complete, begun : bool
        True after the last line, and after the first.
    """

    started: int | None = None
    complete: bool = False
    begun: bool = False
    _cpu: str = ""
    _error: float = float("inf")
    _rounds: list[Round] = field(default_factory=list)

    def read(self, lines: Iterable[str]) -> Iterator[tuple[int, Outcome]]:
        """Candidates in the order in which they end.

        Raises
        ------
        GarbageError
            A line is none of the program's.
        """
        for line in lines:
            words = line.split()
            try:
                ended = self._take(words)
            except (ValueError, IndexError) as error:
                shown = line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + "..."
                raise GarbageError(f"found {shown!r}") from error
            if ended is not None:
                yield ended

    def _take(self, words: list[str]) -> tuple[int, Outcome] | None:
        kind = words[0]
        if not self._cpu:
            if words[:2] != ["sparsecc-measure", "1"]:
                raise ValueError("another program")
            self._cpu, self.begun = " ".join(words[3:]) or "unknown", True
        elif kind == "begin":
            self.started, self._rounds, self._error = int(words[1]), [], float("inf")
        elif kind == "done":
            self.complete = True
        elif self.started != int(words[1]):
            raise ValueError("of another candidate")
        elif kind == "error":
            self._error = float(words[2])
        elif kind == "round":
            probe, default, own = (float(word) for word in words[2:])
            if min(probe, default, own) <= 0:
                raise ValueError("no time")
            self._rounds.append(Round(probe, default, own))
        elif kind == "end":
            candidate, self.started = self.started, None
            return candidate, judge(self._rounds, error=self._error, cpu=self._cpu)
        else:
            raise ValueError("unknown")
        return None


def lost(kind: str, message: str) -> Failure:
    """A candidate that the program never got to the end of."""
    return Failure(kind, message.strip() or "no message")
