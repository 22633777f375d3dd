"""From raw rounds to what tables and acceptance checks need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.results.schema import CellResult, Limits, Participant, Results, Round
from bench.results.stats import Spread, ratios, spread

OURS, OURS_DENSE, OURS_ONE_THREAD = "sparsecc", "sparsecc_dense", "sparsecc_one_thread"
#: with as many threads as the library chooses
OURS_DEFAULT = "sparsecc_default"


@dataclass(frozen=True)
class Summary:
    """One cell in one place of the cores.

    Attributes
    ----------
    place : str
        ``"near"``, ``"far"`` or ``"any"``.
    rounds : tuple of Round
        Those used.
    disturbed : int
        How many of them were disturbed: taken because there were too few others.
    ms : dict
        Time of each participant, milliseconds.
    faster : dict
        How many times faster sparsecc is than each other participant: ratios within a round. Without sparsecc's
        own entry; empty when sparsecc failed or its result is wrong.
    limit_ms, dense_limit_ms : float
        Milliseconds that the kept, and all, multiply-adds take at the FMA peak.
    """

    place: str
    rounds: tuple[Round, ...]
    disturbed: int
    ms: dict[str, Spread]
    faster: dict[str, Spread]
    limit_ms: float
    dense_limit_ms: float

    @property
    def share_of_limit(self) -> float | None:
        """How much of the limit sparsecc reaches, 0..1; to be read with its error."""
        ours = self.ms.get(OURS)
        return self.limit_ms / ours.median if ours else None

    @property
    def dense_share_of_limit(self) -> float | None:
        """How much of the dense limit sparsecc's dense run reaches, 0..1."""
        ours = self.ms.get(OURS_DENSE)
        return self.dense_limit_ms / ours.median if ours else None


Row = tuple[CellResult, Summary]


def summarise(result: CellResult, limits: Limits, *, wanted: int) -> list[Summary]:
    """One summary for each place that was seen, near before far; rounds in which the cores moved are left out.

    Of ``wanted`` rounds the undisturbed ones come first; where they are too few, the least disturbed fill up.
    """
    places = [place for place in ("any", "near", "far") if any(r.place == place for r in result.rounds)]
    return [_summary(result, limits, place, wanted) for place in places]


def summaries(cell: CellResult, results: Results) -> list[Summary]:
    """Those of a cell by the limits and rules of its results."""
    return summarise(cell, results.limits, wanted=results.rules.rounds)


def rows_of(results: Results, cells: Iterable[CellResult] | None = None) -> list[Row]:
    """Every summary beside its cell, of the given cells only and in their order, else of all."""
    chosen = results.cells if cells is None else cells
    return [(cell, summary) for cell in chosen for summary in summaries(cell, results)]


def choose(rounds: Sequence[Round], *, place: str, wanted: int) -> list[Round]:
    """Rounds to use, in the order they were played."""
    there = [r for r in rounds if r.place == place]
    # sorted() is stable: among equals the first played wins
    best = sorted(range(len(there)), key=lambda i: (there[i].disturbed is not None, there[i].others))
    clean = sum(r.disturbed is None for r in there)
    return [there[i] for i in sorted(best[: max(wanted, clean)])]


def best_bar(result: CellResult, summary: Summary, *, uses_zeros: bool) -> Participant | None:
    """The fastest rival, dense or sparse, whose result is right."""
    bars = [p for p in result.participants if not p.ours and p.is_bar and p.uses_zeros == uses_zeros]
    return min((p for p in bars if p.name in summary.ms), key=lambda p: summary.ms[p.name].median, default=None)


def ratio(result: CellResult, summary: Summary, slower: str, faster: str) -> Spread | None:
    """How many times faster one participant is than another, within each round; None unless both are right."""
    if not {slower, faster} <= _right(result) & set(summary.ms):
        return None
    return _ratio(summary.rounds, slower, faster)


def dense_ratio(result: CellResult, summary: Summary) -> Spread | None:
    """How many times faster sparsecc's dense run is than the best dense rival, within each round."""
    best = best_bar(result, summary, uses_zeros=False)
    return None if best is None else ratio(result, summary, best.name, OURS_DENSE)


def fastest_dense(result: CellResult, limits: Limits, *, wanted: int, count: int) -> set[str]:
    """The ``count`` fastest dense rivals whose result is right, in every place that was seen; all if none was."""
    bars = {p.name for p in result.participants if not p.ours and p.is_bar and not p.uses_zeros}
    summaries = summarise(result, limits, wanted=wanted)
    if not summaries:
        return bars
    return {
        name
        for summary in summaries
        for name in sorted(bars & set(summary.ms), key=lambda name: summary.ms[name].median)[:count]
    }


def _summary(result: CellResult, limits: Limits, place: str, wanted: int) -> Summary:
    chosen = choose(result.rounds, place=place, wanted=wanted)
    names = list(chosen[0].ms)
    peak = limits.peak_gflops[str(result.cell.threads)]
    others = [name for name in names if name != OURS] if OURS in names and OURS in _right(result) else []
    return Summary(
        place=place,
        rounds=tuple(chosen),
        disturbed=sum(r.disturbed is not None for r in chosen),
        ms={name: spread([r.ms[name] for r in chosen]) for name in names},
        faster={name: _ratio(chosen, name, OURS) for name in others},
        limit_ms=_limit_ms(result.work.kept_macs, peak),
        dense_limit_ms=_limit_ms(result.work.dense_macs, peak),
    )


def _ratio(rounds: Sequence[Round], slower: str, faster: str) -> Spread:
    return ratios([r.ms[slower] for r in rounds], [r.ms[faster] for r in rounds])


def _right(result: CellResult) -> set[str]:
    """Participants with a right result: the others' times say nothing."""
    return {p.name for p in result.participants if p.is_bar}


def _limit_ms(macs: int, peak_gflops: float) -> float:
    return 2 * macs / (peak_gflops * 1e9) * 1e3
