"""Runs of a library that last until they are told to go on: those of ``kernels_c.held``."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from patience import PATIENCE_S

from sparsecc.runtime import Library


class Held:
    """A run that is under way. ``before`` and ``after``: its threads when it began, and in its second step."""

    def __init__(self, library: Library) -> None:
        self._out = np.zeros(32, np.float32)
        self._thread = threading.Thread(target=lambda: library(out=(self._out,)))

    def begin(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + PATIENCE_S
        while not self.before:
            assert time.monotonic() < deadline, "the run does not begin"
            time.sleep(0.001)

    def end(self) -> None:
        self._out[1] = 1
        self._thread.join()

    @property
    def before(self) -> int:
        return int(self._out[0])

    @property
    def after(self) -> int:
        return int(self._out[2])


@contextmanager
def held(library: Library) -> Iterator[Held]:
    """A run that lasts as long as the block."""
    run = Held(library)
    run.begin()
    try:
        yield run
    finally:
        run.end()
