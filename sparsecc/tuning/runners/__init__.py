"""Where candidates are measured: this machine, one behind a command, or a fleet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sparsecc.kernels.config import Config
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Outcome


class Runner(Protocol):
    """Measures candidates of one task at a time.

    Attributes
    ----------
    flat : bool
        True where arguments are arrays of one dimension only: operators without a kernel of their own are left out.
    """

    flat: bool

    @property
    def where(self) -> str:
        """For people: where it measures."""

    def measure(
        self, task: Task, configs: Sequence[Config], *, threads: int, rounds: int, first: int = 0
    ) -> Iterator[tuple[Config, Outcome]]:
        """Check every config from number ``first`` on and time it against the first of all, as results come in.

        Raises
        ------
        RunnerError
            Nothing can be measured: no connection, not even the first config runs.
        """
