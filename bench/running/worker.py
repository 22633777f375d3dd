"""One participant in its own process, which answers requests, a line of JSON each.

``python -m bench.running.worker NAME FOLDER``, as the client calls it.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.rivals import RIVALS
from bench.rivals.files import EXPECTED, INPUT
from bench.rivals.int8 import CODED
from bench.rivals.protocol import Engine, Layered, Rival

JSON = dict[str, Any]
_PR_SET_PDEATHSIG = 1


class Worker:
    """Answers requests about one rival and one cell; each public method is a request."""

    def __init__(self, rival: Rival, folder: Path) -> None:
        self._rival, self._folder = rival, folder
        self._engine: Engine | None = None
        self._x: Any = None

    def convert(self) -> JSON:
        """Convert the model: wall seconds and this process' peak of resident memory."""
        start = time.perf_counter()
        self._rival.convert(self._folder)
        return {"seconds": time.perf_counter() - start, "peak_bytes": _peak_bytes()}

    def load(self, threads: int) -> JSON:
        """Load the network and its input, which stays alive while the engine may use it."""
        self._x = np.load(self._folder / INPUT)
        self._engine = self._rival.load(self._folder, threads=threads)
        return {"version": self._engine.version}

    def check(self) -> JSON:
        """Largest difference from PyTorch relative to the largest output; None when a result is not finite."""
        with np.load(self._folder / EXPECTED) as archive:
            expected = [archive[name] for name in archive.files]
        found = [np.asarray(output) for output in self._ready().run(self._x)]
        return {"error": largest_error(found, expected)}

    def time(self, warm_s: float, run_s: float, min_runs: int) -> JSON:
        """Warm up, then run for at least ``run_s`` seconds: the milliseconds of every run."""
        run, x = self._ready().run, self._x
        end = time.perf_counter() + warm_s
        while time.perf_counter() < end:
            run(x)
        seconds: list[float] = []
        total = 0.0
        while total < run_s or len(seconds) < min_runs:
            start = time.perf_counter()
            run(x)
            seconds.append(time.perf_counter() - start)
            total += seconds[-1]
        return {"ms": [1e3 * s for s in seconds]}

    def layers(self) -> JSON:
        """Time of every step, for engines that tell."""
        engine = self._ready()
        return {"layers": engine.layers(self._x) if isinstance(engine, Layered) else []}

    def _ready(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("nothing is loaded")
        return self._engine


def largest_error(found: list[Any], expected: list[Any]) -> float | None:
    """Largest absolute difference relative to the largest expected value of that output; None if not finite."""
    if [f.shape for f in found] != [e.shape for e in expected]:
        raise ValueError(f"outputs of shape {[f.shape for f in found]}, expected {[e.shape for e in expected]}")
    errors = [float(np.abs(f - e).max() / (np.abs(e).max() or 1.0)) for f, e in zip(found, expected, strict=True)]
    return max(errors) if np.isfinite(errors).all() else None


def _peak_bytes() -> int:
    """Peak of resident memory; getrusage won't do, it counts the parent's before the exec as well."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _answer(worker: Worker, line: str) -> JSON:
    request: JSON = json.loads(line)
    method: Callable[..., JSON] = getattr(worker, request.pop("op"))
    try:
        return method(**request)
    except Exception as error:  # an engine may raise anything, and the benchmark goes on without it
        return {"failed": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Serve until the input ends; what the engine prints goes to the error stream."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # also a stopped worker ends with its benchmark
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    gc.disable()
    worker = Worker((RIVALS | CODED)[sys.argv[1]], Path(sys.argv[2]))
    for line in sys.stdin:
        print(json.dumps(_answer(worker, line), allow_nan=False), file=answers, flush=True)


if __name__ == "__main__":
    main()
