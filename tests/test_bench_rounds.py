"""The benchmark's rounds: their order, and which count, against a scripted machine."""

from __future__ import annotations

import pytest

from bench.machine.coherence import chip, place
from bench.machine.others import Use, Watch
from bench.results.schema import Rules
from bench.running.rounds import Guard, counts, disturbance, play_rounds, rotated


def test_everyone_is_first_once():
    assert [rotated("abc", i)[0] for i in range(3)] == ["a", "b", "c"]
    assert rotated("abc", 4) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ([95.0, 90.0], "near"),
        ([58.0, 59.0], "one core"),
        ([58.0, 95.0], "mixed"),
        ([95.0, 325.0], "mixed"),
        ([325.0, 300.0], "far"),
        ([None, None], "any"),
        ([], "any"),
    ],
)
def test_place(probes, expected):
    assert place(probes) == expected


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ([46.0, 132.0], "near"),
        ([325.0, None, 300.0], "far"),
        ([95.0, 325.0], "mixed"),
        ([None], "any"),
    ],
)
def test_chip(probes, expected):
    assert chip(probes) == expected


@pytest.mark.parametrize(
    ("use", "peak", "reason"),
    [
        (Use(0.02, 0.0), 0.99, None),
        (Use(0.5, 0.0), 0.99, "other programs used 50 % of a core"),
        (Use(0.0, 0.2), 0.99, "the host kept 20 % of a core"),
        (Use(0.0, 0.0), 0.6, "cores ran at 60 % of their peak"),
    ],
)
def test_disturbance(use, peak, reason):
    assert disturbance(use, peak) == reason


class Scripted:
    """A player whose runs take a fixed time."""

    pid = 1

    def __init__(self, ms: float) -> None:
        self.ms = ms

    def ask(self, op, **arguments):
        assert op == "time"
        return {"ms": [self.ms] * 3}


def scripted(peaks=(100.0,), distances=(None,), rounds=3, patience=3):
    """Rounds on a machine that behaves as told; the last figure stays."""
    peak, distance = list(peaks), list(distances)

    def following(values):
        return values.pop(0) if len(values) > 1 else values[0]

    guard = Guard(100.0, probe=True, peak=lambda: following(peak), distance=lambda: following(distance))
    players = {"a": Scripted(2.0), "b": Scripted(3.0)}
    return play_rounds(players, Rules(rounds=rounds, patience=patience), guard)


@pytest.fixture
def _quiet(monkeypatch):
    monkeypatch.setattr(Watch, "__init__", lambda self, own, player: None)
    monkeypatch.setattr(Watch, "use", lambda self: Use(0.0, 0.0))


@pytest.mark.usefixtures("_quiet")
class TestRounds:
    def test_undisturbed(self):
        rounds = scripted()
        assert [r.order for r in rounds] == [("a", "b"), ("b", "a"), ("a", "b")]
        assert all(counts(r) and r.ms == {"a": 2.0, "b": 3.0} and r.runs == {"a": 3, "b": 3} for r in rounds)

    def test_a_slow_core_costs_a_repetition(self):
        rounds = scripted(peaks=(100.0, 50.0, 100.0))
        assert [counts(r) for r in rounds] == [True, False, True, True]

    def test_patience_ends(self):
        assert len(scripted(peaks=(50.0,), rounds=2, patience=4)) == 8

    def test_far_and_mixed_rounds_do_not_count(self):
        near, far = 95.0, 300.0
        rounds = scripted(distances=(near, near, near, near, near, far, far, far, far, near), rounds=2)
        assert [r.place for r in rounds] == ["near", "mixed", "far", "near"]
