"""Threads of one process that call a library each, as long as they are told; ``bench.studies.sharing`` starts it."""

from __future__ import annotations

import copy
import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparsecc.runtime import Library, load

_WARM_RUNS = 5


@dataclass(frozen=True)
class Times:
    """``runs``: seconds of every run of every caller; ``wall``: seconds of the caller that took longest."""

    runs: tuple[tuple[float, ...], ...]
    wall: float

    @property
    def per_second(self) -> float:
        """Runs of all callers in a second."""
        return sum(map(len, self.runs)) / self.wall


def instances(paths: Sequence[Path], *, threads: int) -> list[Library]:
    """An instance for each path; equal paths are one library."""
    loaded = {path: load(path, threads=threads) for path in dict.fromkeys(paths)}
    return [copy.copy(loaded[path]) for path in paths]


def call(libraries: Sequence[Library], *, seconds: float) -> Times:
    """Every library is called by a thread of its own, again and again."""
    times: list[list[float]] = [[] for _ in libraries]
    start = threading.Barrier(len(libraries))

    def work(library: Library, mine: list[float]) -> None:
        inputs = [np.zeros(port.shape, port.dtype) for port in library.inputs]
        out = tuple(np.empty(port.shape, port.dtype) for port in library.outputs)
        for _ in range(_WARM_RUNS):
            library(*inputs, out=out)
        start.wait()
        before = time.perf_counter()
        end = before + seconds
        while before < end:
            library(*inputs, out=out)
            now = time.perf_counter()
            mine.append(now - before)
            before = now

    threads = [threading.Thread(target=work, args=pair) for pair in zip(libraries, times, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Times(tuple(map(tuple, times)), max(map(sum, times)))


def main(arguments: Sequence[str]) -> int:
    """Threads of a run (0: the library's choice), seconds, libraries; says "ready" and begins with a line of input."""
    threads, seconds, *paths = arguments
    libraries = instances([Path(path) for path in paths], threads=int(threads))
    print("ready", flush=True)
    sys.stdin.readline()
    found = call(libraries, seconds=float(seconds))
    print(json.dumps({"runs": found.runs, "wall": found.wall}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
