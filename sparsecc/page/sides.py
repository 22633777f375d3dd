"""What a page is made of: a report with the times that were measured, or two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sparsecc.analyse.plan import Plan
from sparsecc.page.rows import Facts, Row, rows_of


@dataclass(frozen=True)
class Measured:
    """Times of a library on a machine.

    Attributes
    ----------
    steps : mapping of str to float
        Key of a step -> its median seconds.
    median_s, p10_s, p90_s : float
        Of whole runs.
    threads, runs : int
    cpu : str
    """

    steps: Mapping[str, float]
    median_s: float
    p10_s: float
    p90_s: float
    threads: int
    runs: int
    cpu: str


@dataclass(frozen=True, eq=False)
class Side:
    """A network as it was compiled, or as it would be.

    Attributes
    ----------
    title : str
        The file it is from, or another name.
    facts : Facts
        Its report.
    measured : Measured or None
    about : mapping of str to str
        Further facts for the head of the page: what, and its value.
    """

    title: str
    facts: Facts
    measured: Measured | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        """Its layers."""
        return self.facts.plan

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Layers and other kernels, from the first to the last."""
        measured = self.measured
        return rows_of(
            self.facts, None if measured is None else measured.steps, threads=measured.threads if measured else 1
        )

    @property
    def predicted_us(self) -> float | None:
        """Of all kernels; None where one of them has no prediction."""
        times = [row.predicted_us for row in self.rows if row.kernels]
        known = [time for time in times if time is not None]
        return sum(known) if known and len(known) == len(times) else None
