"""Runs beside busy programs: whether a library's default does no worse than its own one thread.

Ratios come from within rounds, and only then the median over rounds: a minute in which the system shares cores out
otherwise is the same minute for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.results.stats import quantile

#: most that the default's median and 99th percentile may be of one thread's, with busy programs beside
MOST_MEDIAN, MOST_LAST = 1.15, 1.5
#: most that the default's median may be of one thread's where nothing else runs; what two runs of one library differ by
MOST_IDLE = 1.03


@dataclass(frozen=True)
class Turn:
    """Runs of one engine, back to back.

    Attributes
    ----------
    median, last : float
        Median and 99th percentile, milliseconds.
    runs : int
    place : str
        Where the cores were before and after: ``"near"``, ``"far"`` or ``"mixed"``; ``"any"`` beside
        neighbours, where what a line takes to travel can't be told.
    """

    median: float
    last: float
    runs: int
    place: str


@dataclass(frozen=True)
class Beside:
    """One round of one network: everyone's turn, by engine, with so many busy programs beside.

    ``disturbed`` says why it should not count, if it should not.
    """

    net: str
    neighbours: int
    turns: dict[str, Turn]
    disturbed: str | None


@dataclass(frozen=True)
class Situation:
    """What stands in a column: a network, busy programs, and where the cores were."""

    net: str
    neighbours: int
    place: str

    def __str__(self) -> str:
        return f"{self.neighbours} busy" if self.neighbours else f"idle, {self.place}"


@dataclass(frozen=True)
class Standing:
    """An engine in a situation: medians over rounds, in ms, and the same over one thread's of the round."""

    median: float
    last: float
    over_median: float
    over_last: float
    rounds: int


def turn_of(ms: Sequence[float], *, place: str) -> Turn:
    """Summarise the milliseconds of runs; ValueError for none."""
    if not ms:
        raise ValueError("turn_of: no runs")
    return Turn(median(ms), quantile(ms, 0.99), len(ms), place)


def situations(rounds: Sequence[Beside]) -> list[Situation]:
    """Those that engines were in, in order; turns in which the distance of cores changed are left out."""
    found = {(r.net, r.neighbours, turn.place) for r in rounds for turn in r.turns.values() if turn.place != "mixed"}
    nets = list(dict.fromkeys(played.net for played in rounds))
    return [Situation(*key) for key in sorted(found, key=lambda key: (nets.index(key[0]), key[1], key[2] != "near"))]


def standing(rounds: Sequence[Beside], engine: str, at: Situation, *, one: str) -> Standing | None:
    """How an engine does in rounds that nothing disturbed, in all where that leaves none; None if it was never there.

    ``one`` is what ratios are taken over: its place is its own, for one thread meets no other.
    """
    found = [
        played
        for played in rounds
        if (played.net, played.neighbours) == (at.net, at.neighbours)
        and engine in played.turns
        and (engine == one or played.turns[engine].place == at.place)
    ]
    calm = [played for played in found if played.disturbed is None] or found
    if not calm:
        return None
    both = [(played.turns[engine], played.turns[one]) for played in calm]
    return Standing(
        median=median(its.median for its, _ in both),
        last=median(its.last for its, _ in both),
        over_median=median(its.median / ours.median for its, ours in both),
        over_last=median(its.last / ours.last for its, ours in both),
        rounds=len(both),
    )


def missed(rounds: Sequence[Beside], engine: str, *, one: str) -> Iterator[str]:
    """Where an engine does worse than it may, in words."""
    for at in situations(rounds):
        found = standing(rounds, engine, at, one=one)
        if found is None:
            continue
        most = MOST_MEDIAN if at.neighbours else MOST_IDLE
        if found.over_median > most:
            yield f"{at.net}, {at}: the median is {found.over_median:.2f} times one thread's, expected at most {most}"
        if at.neighbours and found.over_last > MOST_LAST:
            text = f"the 99th percentile is {found.over_last:.2f} times one thread's, expected at most {MOST_LAST}"
            yield f"{at.net}, {at}: {text}"
