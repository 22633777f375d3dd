"""Runs beside busy programs: summaries and verdicts on figures that are known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.judging.neighbours import Beside, Situation, Turn, missed, situations, standing, turn_of
from bench.studies.neighbours import busy_loops, summary

ONE, MANY = "sparsecc_one_thread", "sparsecc_default"


def turn(median: float, last: float, place: str = "near") -> Turn:
    return Turn(median, last, 100, place)


def idle(many: Turn, one: Turn, disturbed: str | None = None) -> Beside:
    return Beside("resnet50", 0, {ONE: one, MANY: many}, disturbed)


def busy(many: tuple[float, float], one: tuple[float, float], neighbours: int = 1) -> Beside:
    return Beside("resnet50", neighbours, {ONE: turn(*one, "any"), MANY: turn(*many, "any")}, None)


def test_a_turn_is_the_median_and_the_99th_percentile():
    assert turn_of([*range(1, 101), 1000], place="any") == Turn(51, 100, 101, "any")
    with pytest.raises(ValueError, match="no runs"):
        turn_of([], place="any")


def test_ratios_are_those_of_a_round():
    rounds = [busy((20, 40), (10, 10)), busy((30, 30), (20, 20)), busy((80, 90), (40, 30))]
    found = standing(rounds, MANY, Situation("resnet50", 1, "any"), one=ONE)
    assert found is not None
    assert (found.median, found.last, found.over_median, found.over_last, found.rounds) == (30, 40, 2, 3, 3)


def test_places_are_told_apart_and_changes_left_out():
    one = turn(10, 11)
    rounds = [idle(turn(5, 6), one), idle(turn(12, 13, "far"), one), idle(turn(99, 99, "mixed"), one)]
    assert [str(at) for at in situations(rounds)] == ["idle, near", "idle, far"]
    far = standing(rounds, MANY, Situation("resnet50", 0, "far"), one=ONE)
    assert far is not None
    assert far.over_median == 1.2
    assert standing(rounds, "onnxruntime", Situation("resnet50", 0, "far"), one=ONE) is None


def test_disturbed_rounds_count_where_there_are_no_others():
    at, one = Situation("resnet50", 0, "near"), turn(10, 11)
    noisy, calm = idle(turn(20, 20), one, disturbed="others"), idle(turn(5, 6), one)
    found = [standing(rounds, MANY, at, one=ONE) for rounds in ([noisy, calm], [noisy])]
    assert [s.median for s in found if s] == [5, 20]


def test_verdicts():
    good = [idle(turn(10.2, 30), turn(10, 11)), busy((11.4, 14), (10, 10))]
    assert list(missed(good, MANY, one=ONE)) == []
    bad = [idle(turn(11, 11, "far"), turn(10, 11)), busy((12, 16), (10, 10)), busy((12, 16), (10, 10), neighbours=4)]
    assert list(missed(bad, MANY, one=ONE)) == [
        "resnet50, idle, far: the median is 1.10 times one thread's, expected at most 1.03",
        "resnet50, 1 busy: the median is 1.20 times one thread's, expected at most 1.15",
        "resnet50, 1 busy: the 99th percentile is 1.60 times one thread's, expected at most 1.5",
        "resnet50, 4 busy: the median is 1.20 times one thread's, expected at most 1.15",
        "resnet50, 4 busy: the 99th percentile is 1.60 times one thread's, expected at most 1.5",
    ]


def test_the_table_has_a_row_for_each_and_a_column_for_each_situation():
    lines = summary([idle(turn(5, 6), turn(10, 11)), busy((12, 16), (10, 10))]).splitlines()
    head = "| resnet50, ms | idle, near | 1 busy | over one thread: idle, near | over one thread: 1 busy |"
    assert lines[0] == head
    assert lines[3] == "| sparsecc, default | 5.00 / 6.00 | 12.00 / 16.00 | 0.50 / 0.55 | 1.20 / 1.60 |"


def test_busy_loops_run_and_end():
    with busy_loops(2) as loops:
        assert len(set(loops)) == 2
        assert all(Path(f"/proc/{loop}").exists() for loop in loops)
    for loop in loops:
        with pytest.raises(ProcessLookupError):
            os.kill(loop, 0)
