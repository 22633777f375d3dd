"""A network's files and what the engines make of them, kept while consecutive cells differ in threads only."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from bench.cells.prepare import prepare
from bench.results.schema import Cell, Work
from bench.rivals.protocol import Rival
from bench.running.client import Client, WorkerError


@dataclass(frozen=True)
class Made:
    """A conversion: wall seconds and peak resident bytes of its process."""

    seconds: float
    peak_bytes: int


class Workshop:
    """Holds the files of one network at a time, in a folder that goes with it; a context manager."""

    def __init__(self) -> None:
        self._network: Cell | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._work: Work | None = None
        self._made: dict[str, Made | WorkerError] = {}

    @property
    def folder(self) -> Path:
        """Where the files of the network are."""
        assert self._temporary is not None
        return Path(self._temporary.name)

    def take(self, cell: Cell) -> Work:
        """Prepare the cell's network, unless it is the one that is there already; its work."""
        network = replace(cell, threads=0)
        if self._work is None or network != self._network:
            self.close()
            self._temporary = tempfile.TemporaryDirectory(prefix="bench-")
            self._work, self._network = prepare(cell, self.folder), network
        return self._work

    def convert(self, rival: Rival) -> Made:
        """Convert the network for an engine, unless that was done; WorkerError when it fails, each time it is asked."""
        if rival.name not in self._made:
            self._made[rival.name] = self._convert(rival)
        made = self._made[rival.name]
        if isinstance(made, WorkerError):
            raise made
        return made

    def close(self) -> None:
        """Remove the files."""
        self._network, self._work, self._made = None, None, {}
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def __enter__(self) -> Workshop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _convert(self, rival: Rival) -> Made | WorkerError:
        """In a process of its own, which may use every core."""
        try:
            with Client(rival, self.folder, threads=len(os.sched_getaffinity(0))) as client:
                made = client.ask("convert")
        except WorkerError as error:
            return error
        return Made(round(made["seconds"], 3), made["peak_bytes"])
