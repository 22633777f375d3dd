"""How far apart two cores are: a cache line bounced between two threads, in ns for a round trip.

A virtual machine's cores may be moved while it runs. Near, a line travels both ways in about 95 ns. Far, on other
chips, it takes about 310 ns, and two threads that share data can be slower than one; tests of compute speed do not see
that. At less than 70 ns both are halves of one core: together they compute no faster than one alone.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from bench.machine.native import native

ONE_CORE_NS = 75.0  # below: two threads of one core
NEAR_NS = 150.0  # below: the two cores share a cache
_TRIPS, _BATCHES = 2000, 7  # about 1 ms near, 5 ms far


def round_trip_ns() -> float | None:
    """Nanoseconds of a round trip between the first two cores this process may use; None with a single core."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    function = native("pingpong").round_trip
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_int)
    function.restype = ctypes.c_double
    ns = float(function(cores[0], cores[1], _TRIPS, _BATCHES))
    return ns if ns >= 0 else None


def place(probes: Iterable[float | None]) -> str:
    """What the probes around a run say.

    ``"near"``, ``"far"`` or ``"one core"`` when all agree, else ``"mixed"``; ``"any"`` when nothing was probed.
    """
    found = {_place(ns) for ns in probes if ns is not None}
    if not found:
        return "any"
    return found.pop() if len(found) == 1 else "mixed"


def chip(probes: Iterable[float | None]) -> str:
    """What the probes around a run say where it is not asked whether two cores are one: near at any short time.

    How short a trip between two cores may be depends on the processor: a Zen 5's take 46 to 132 ns, and two threads are
    1.8 times as fast as one at all of them.
    """
    found = {ns < NEAR_NS for ns in probes if ns is not None}
    if not found:
        return "any"
    return "mixed" if len(found) > 1 else "near" if found.pop() else "far"


def _place(ns: float) -> str:
    if ns < ONE_CORE_NS:
        return "one core"
    return "near" if ns < NEAR_NS else "far"


if __name__ == "__main__":
    for _ in range(10):
        print(round_trip_ns())
