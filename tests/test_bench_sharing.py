"""`bench.studies.sharing`: several callers in a process, and what is judged of them."""

from __future__ import annotations

import kernels_c
import pytest

from bench.studies.callers import Times, call, instances
from bench.studies.sharing import BASE, JUDGED, Took, missed, shown, took


def test_every_caller_has_an_instance_and_is_timed() -> None:
    paths = [kernels_c.tiny_library(), kernels_c.library_of("k_launch"), kernels_c.tiny_library()]
    libraries = instances(paths, threads=1)
    assert [library.path for library in libraries] == paths
    assert len({id(library) for library in libraries}) == 3
    found = call(libraries, seconds=0.01)
    assert len(found.runs) == 3
    assert all(caller and min(caller) > 0 for caller in found.runs)
    assert found.wall >= max(map(sum, found.runs)) * 0.999


def test_what_processes_did_together() -> None:
    together = took([Times(((0.5, 0.5), (1.0,)), 1.0), Times(((0.25, 0.25),), 0.5)])
    assert together == Took(3 + 4, 500.0, 1000.0)
    assert together.slowest == 2.0


@pytest.mark.parametrize(
    ("throughput", "slowest", "words"),
    [
        (95.0, 4.0, []),
        (94.0, 4.0, ["4 callers, a library each: 0.94 of two processes' throughput, expected 0.95"]),
        (96.0, 5.0, ["4 callers, a library each: a run of 5.0 times the median, expected at most 4"]),
    ],
)
def test_aims(throughput: float, slowest: float, words: list[str]) -> None:
    """Throughput by the median of the rounds, the slowest run of all."""
    good, bad = Took(100.0, 1.0, 2.0), Took(throughput, 1.0, slowest)
    rounds = [{BASE.name: good, JUDGED[0]: good, JUDGED[1]: each} for each in (bad, bad, good)]
    assert missed(rounds) == words
    assert (
        f"| {JUDGED[1]} | {throughput:.0f} | {throughput / 100:.2f} | 1.00 | {slowest:.1f} ({slowest:.1f}) |"
        in shown(rounds)
    )
