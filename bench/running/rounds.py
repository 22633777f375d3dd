"""Rounds: every participant once, one after another, watched for whatever else the machine does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from bench.machine.coherence import place, round_trip_ns
from bench.machine.others import Use, Watch
from bench.machine.peak import quick_peak
from bench.results.schema import Round, Rules

# Shares of one core during one participant's turn of about 0.4 s; the kernel counts in steps of 10 ms
MAX_OTHERS = 0.10
MAX_STOLEN = 0.05
MIN_PEAK = 0.90  # of the run's peak: below, cores were slowed down, or two of them were threads of one


class Player(Protocol):
    """A participant as rounds see it: :class:`bench.running.client.Client`."""

    @property
    def pid(self) -> int:
        """Its process."""
        ...

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Send a request."""
        ...


@dataclass(frozen=True)
class Guard:
    """What is watched: the peak to compare with in GFLOP/s of all cores used, and whether their distance matters."""

    peak_gflops: float
    probe: bool
    peak: Callable[[], float] = quick_peak
    distance: Callable[[], float | None] = round_trip_ns


def play_rounds(
    players: Mapping[str, Player], rules: Rules, guard: Guard, *, tell: Callable[[str], None] = lambda text: None
) -> tuple[Round, ...]:
    """Play until enough rounds count, or patience ends; all rounds, those that do not count included.

    A round counts when nothing disturbed it and, on several threads, the cores were near.
    """
    rounds: list[Round] = []
    while sum(counts(r) for r in rounds) < rules.rounds and len(rounds) < rules.patience * rules.rounds:
        rounds.append(play_round(players, rules, guard, number=len(rounds)))
        tell(_line(rounds[-1]))
    return tuple(rounds)


def counts(played: Round) -> bool:
    """Whether a round is one of those wanted."""
    return played.disturbed is None and played.place in ("near", "any")


def play_round(players: Mapping[str, Player], rules: Rules, guard: Guard, *, number: int) -> Round:
    """One round, in an order that ``number`` rotates."""
    order = rotated(list(players), number)
    peak = guard.peak()
    probes, uses = [_probe(guard)], {}
    ms, runs = {}, {}
    for name in order:
        watch = Watch([player.pid for player in players.values()], player=players[name].pid)
        times = players[name].ask("time", warm_s=rules.warm_s, run_s=rules.run_s, min_runs=rules.min_runs)["ms"]
        uses[name] = watch.use()
        probes.append(_probe(guard))
        ms[name], runs[name] = median(times), len(times)
    others, stolen = max(use.others for use in uses.values()), max(use.stolen for use in uses.values())
    return Round(
        order=tuple(order),
        ms=ms,
        runs=runs,
        cores={name: round(use.player, 2) for name, use in uses.items()},
        place=place(probes),
        probes_ns=tuple(round(ns, 1) for ns in probes if ns is not None),
        others=round(others, 3),
        stolen=round(stolen, 3),
        peak_gflops=round(peak, 2),
        disturbed=disturbance(Use(others, stolen), peak / guard.peak_gflops),
    )


def rotated(names: Sequence[str], number: int) -> list[str]:
    """Everyone is first once, then second, ..., so that no one gains from its place."""
    start = number % len(names) if names else 0
    return [*names[start:], *names[:start]]


def disturbance(use: Use, peak: float) -> str | None:
    """Why a round should not count; ``peak`` relative to the run's."""
    if use.others > MAX_OTHERS:
        return f"other programs used {100 * use.others:.0f} % of a core"
    if use.stolen > MAX_STOLEN:
        return f"the host kept {100 * use.stolen:.0f} % of a core"
    return f"cores ran at {100 * peak:.0f} % of their peak" if peak < MIN_PEAK else None


def _probe(guard: Guard) -> float | None:
    return guard.distance() if guard.probe else None


def _line(played: Round) -> str:
    times = ", ".join(f"{name} {ms:.3f}" for name, ms in sorted(played.ms.items()))
    where = "" if played.place == "any" else f" [{played.place}]"
    return f"{times} ms{where}" + (f" [{played.disturbed}]" if played.disturbed else "")
