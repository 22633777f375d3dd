"""Run cases of one kind and count how they end."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from fuzz.isolated import isolated
from fuzz.kinds import KINDS
from fuzz.outcome import Ending, Outcome


@dataclass
class Tally:
    """How the cases of a kind ended: counts, and the seeds of those that ended badly."""

    kind: str
    counts: Counter[Ending] = field(default_factory=Counter)
    bad: list[tuple[int, Outcome]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def cases(self) -> int:
        """How many ran."""
        return sum(self.counts.values())

    def add(self, seed: int, outcome: Outcome) -> None:
        """Count a case."""
        self.counts[outcome.ending] += 1
        if not outcome.is_good:
            self.bad.append((seed, outcome))
        if outcome.ending == "refused":
            self.reasons[outcome.detail[:160]] += 1


def run(kind: str, samples: Path, *, seeds: range, until: float | None = None) -> Iterator[tuple[int, Outcome]]:
    """Run the cases of the seeds, each in a process of its own, until a time of the monotonic clock."""
    with tempfile.TemporaryDirectory() as folder:
        case = KINDS[kind].prepare(samples, Path(folder))
        for seed in seeds:
            if until is not None and time.monotonic() > until:
                return
            yield seed, isolated(partial(case, Random(f"{kind} {seed}")), seconds=KINDS[kind].seconds)
