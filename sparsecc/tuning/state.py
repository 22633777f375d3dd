"""How far the search of one task is."""

from __future__ import annotations

from dataclasses import dataclass, field

from sparsecc.kernels.config import Config
from sparsecc.target.records.log import fastest
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Failure, Timing


@dataclass
class TaskState:
    """A task and what was measured of it.

    Attributes
    ----------
    task : Task
    timings : dict
        Config -> its last timing.
    failures : dict
        Config -> why it has none.
    batches : int
        Times that this search measured some of its candidates.
    """

    task: Task
    timings: dict[Config, Timing] = field(default_factory=dict)
    failures: dict[Config, Failure] = field(default_factory=dict)
    batches: int = 0
    _left: tuple[int, list[Config]] | None = None

    @property
    def default(self) -> Config:
        """The cost model's config."""
        return self.task.choice.default

    @property
    def count(self) -> int:
        """Layers that run this kernel."""
        return len(self.task.names)

    @property
    def open(self) -> list[Config]:
        """Legal configs that were not tried."""
        tried = len(self.timings) + len(self.failures)
        if self._left is None or self._left[0] != tried:
            left = self.task.space if self._left is None else self._left[1]
            self._left = tried, [c for c in left if c not in self.timings and c not in self.failures]
        return self._left[1]

    @property
    def best(self) -> Config:
        """The fastest config relative to the cost model's; that one where nothing was measured."""
        if not self.timings:
            return self.default
        timing = fastest(list(self.timings.values()))
        return next(config for config, known in self.timings.items() if known is timing)

    @property
    def relative(self) -> float:
        """Time of the best config as a share of the cost model's; never more than 1, for that one can be taken."""
        return min(1.0, self.timings[self.best].relative) if self.timings else 1.0

    @property
    def default_us(self) -> float | None:
        """Microseconds of the cost model's config, as of the last timing."""
        return next(reversed(self.timings.values())).default_us if self.timings else None

    @property
    def total_us(self) -> float:
        """Microseconds of all its layers with the best config so far; 0 before the first measurement."""
        return self.count * (self.default_us or 0.0) * self.relative

    def ranked(self) -> list[Config]:
        """Measured configs, the fastest first."""
        return sorted(self.timings, key=lambda config: self.timings[config].relative)
