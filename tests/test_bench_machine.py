"""What the benchmark measures of the machine: use by others, its limits, distance of cores."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.machine.coherence import round_trip_ns
from bench.machine.others import Watch
from bench.machine.peak import fma_gflops, higher, triad_gbs
from bench.results.schema import Limits


def test_others_are_noticed():
    watch = Watch([])
    start = time.perf_counter()
    busy = subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.4: pass"])
    assert busy.returncode == 0
    wall = time.perf_counter() - start
    assert watch.use().others * wall > 0.3


def test_busy_cores_of_a_player_are_counted():
    watch = Watch([], player=os.getpid())
    start, used = time.perf_counter(), time.process_time()
    while time.process_time() < used + 0.3:
        pass
    wall = time.perf_counter() - start
    assert 0.2 < watch.use().player * wall < 0.3 + wall


def test_limits_are_plausible():
    assert 0.1 < fma_gflops(16, seconds=0.001) < 1000
    assert 0.1 < triad_gbs(1 << 18, seconds=0.001) < 10_000


def test_the_higher_limits_count():
    one, other = Limits({"1": 90.0}, {"L2": 50.0}), Limits({"1": 100.0}, {"L2": 40.0})
    assert higher(one, other) == Limits({"1": 100.0}, {"L2": 50.0})


def test_distance_of_cores_is_plausible():
    ns = round_trip_ns()
    assert ns is None or 1 < ns < 1e7
