"""What this machine can do at most: multiply-adds of its cores, and bytes from each level of memory."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

import numpy as np

from bench.machine.native import native
from bench.results.schema import Limits
from sparsecc.target.native.cpu import cache_bytes

NO_LIMITS = Limits({}, {})  # before anything was measured
_VECTORS = (16, 32, 64)  # bytes; wider ones than the CPU has are split by the compiler and never win
_GROUPS = 3  # the best of so many medians: a whole group can be slow, none can be too fast
_REPEATS = 5
_FLOATS = 4  # bytes of one
_USUAL_CACHES = {"L2": 1 << 20, "L3": 16 << 20}


def fma_gflops(vector: int, *, seconds: float) -> float:
    """Multiply-add rate of this thread's core in one run of about ``seconds``; a multiply-add counts as two."""
    library = native("peak")
    loop = getattr(library, f"fma_{vector}")
    loop.argtypes, loop.restype = (ctypes.c_long,), ctypes.c_double
    per_step = 2 * library.fma_chains() * vector // _FLOATS
    steps = 20_000
    steps = max(steps, int(steps * seconds / max(loop(steps), 1e-6)))
    return float(steps * per_step / loop(steps) / 1e9)


def quick_peak(threads: int = 1) -> float:
    """GFLOP/s of so many cores right now, in about 15 ms: tells a slow phase of the machine from a slow program."""
    return max(_together(threads, partial(fma_gflops, vector, seconds=0.003)) for vector in _VECTORS[1:])


def peak_gflops(threads: int, *, seconds: float = 0.02) -> float:
    """GFLOP/s that ``threads`` cores reach together; each measurement takes about ``seconds``."""
    return max(
        median(_together(threads, partial(fma_gflops, vector, seconds=seconds)) for _ in range(_REPEATS))
        for _ in range(_GROUPS)
        for vector in _VECTORS
    )


def _together(threads: int, rate: Callable[[], float]) -> float:
    """Sum of what ``rate`` returns in so many threads that start together."""
    barrier, rates = threading.Barrier(threads), [0.0] * threads

    def work(index: int) -> None:
        barrier.wait()
        rates[index] = rate()

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(rates)


def triad_gbs(footprint: int, *, seconds: float = 0.02) -> float:
    """GB/s of one core for ``a = b + s * c`` with ``footprint`` bytes in the three arrays together.

    Two reads and a write count, what a cache reads before it writes does not (as in STREAM).
    """
    function = native("peak").triad
    function.argtypes, function.restype = (*[ctypes.c_void_p] * 3, ctypes.c_long, ctypes.c_long), ctypes.c_double
    length = footprint // 3 // _FLOATS // 16 * 16
    # 256 bytes apart beyond a multiple of 4 KiB, or loads would falsely wait for stores with the same low bits
    pitch = -(-length * _FLOATS // 4096) * 4096 + 256
    memory = np.ones(3 * pitch + 64, np.uint8)
    start = -(-memory.ctypes.data // 64) * 64
    arrays = [start + i * pitch for i in range(3)]
    once = max(function(*arrays, length, 1), 1e-7)
    passes = max(1, int(seconds / max(function(*arrays, length, 4) / 4, once / 100, 1e-8)))
    rates = [3 * _FLOATS * length * passes / function(*arrays, length, passes) / 1e9 for _ in range(_REPEATS)]
    return float(median(rates))


def cache_sizes() -> dict[str, int]:
    """Size of the second and third level of cache, as Linux tells it, else what is usual."""
    return _USUAL_CACHES | {f"L{level}": size for level, size in cache_bytes().items() if f"L{level}" in _USUAL_CACHES}


def measure_limits(threads: Sequence[int], *, quick: bool = False) -> Limits:
    """Measure peak for each thread count and bandwidth of one core for each level; some seconds, or one if quick."""
    seconds = 0.003 if quick else 0.02
    caches = cache_sizes()
    # well inside each level: half of the second, a quarter of the shared third, several times the third
    footprints = {"L2": caches["L2"] // 2, "L3": caches["L3"] // 4, "DRAM": 4 * caches["L3"]}
    return Limits(
        peak_gflops={str(t): peak_gflops(t, seconds=seconds) for t in sorted({1, *threads})},
        bandwidth_gbs={level: triad_gbs(size, seconds=seconds) for level, size in footprints.items()},
    )


def higher(one: Limits, other: Limits) -> Limits:
    """The higher of two measurements, figure by figure: a disturbance makes them lower, nothing makes them higher."""
    return Limits(
        _higher(one.peak_gflops, other.peak_gflops),
        _higher(one.bandwidth_gbs, other.bandwidth_gbs),
    )


def _higher(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """By name; a figure that only one of them has is taken as it is."""
    return {name: max(one.get(name, 0.0), other.get(name, 0.0)) for name in {**one, **other}}


if __name__ == "__main__":
    print(measure_limits((1, 2)))
