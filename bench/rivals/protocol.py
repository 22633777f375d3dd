"""What the benchmark asks of an engine, ours included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Engine(Protocol):
    """A network that is ready to run in this process."""

    version: str

    def run(self, x: Array) -> Sequence[Array]:
        """Run once; the outputs in the network's order."""
        ...


@runtime_checkable
class Layered(Protocol):
    """An engine that can tell the time of its steps."""

    def layers(self, x: Array) -> list[dict[str, Any]]:
        """One dict a step, with the fields of :class:`bench.results.schema.Layer`."""
        ...


class Rival(Protocol):
    """How an engine gets from a cell's files to a network that runs.

    Its module may import only the standard library and NumPy at the top: the engine itself is imported inside the
    methods, which run in a process of their own, in the engine's own environment.

    Attributes
    ----------
    name : str
        Key in results and on the command line.
    label : str
        What tables call it.
    environment : str
        Key in :data:`bench.rivals.environments.ENVIRONMENTS` if it needs one; where it is not there, or not set up, the
        benchmark's own Python runs it.
    ours : bool
        True for sparsecc.
    uses_zeros : bool
        True when pruned weights save it work.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def environment(self) -> str: ...  # noqa: D102
    @property
    def ours(self) -> bool: ...  # noqa: D102
    @property
    def uses_zeros(self) -> bool: ...  # noqa: D102

    def convert(self, folder: Path) -> None:
        """Turn the cell's files into the engine's own, in ``folder``; in a process that then ends.

        The result serves every number of threads.
        """
        ...

    def load(self, folder: Path, *, threads: int) -> Engine:
        """Load the network, set to use exactly ``threads`` threads, the caller's included."""
        ...
