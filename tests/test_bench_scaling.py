"""Speed-ups on more threads than there are cores: the arithmetic on figures that are known, and the program itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bench.studies import scaling
from bench.studies.alone import Samples, build, run_alone
from bench.studies.predicted import Losses, StepTimes, begins, losses, network_us, region_us, total


def step(serial: float, *regions: tuple[float, ...]) -> StepTimes:
    return StepTimes("conv", serial, regions)


def test_one_thread_needs_no_other():
    assert region_us([5], trip=1) == 5
    assert step(2, (5,), (7,)).us(trip=1) == 14


def test_a_region_without_work_takes_two_trips_on_two_threads():
    assert region_us([0, 0], trip=0.5) == 1


def test_threads_are_woken_one_after_another_and_counted_on_one_line():
    # the caller wakes three others, at 1, 2 and 3, and begins at 3
    assert region_us([10, 0, 0, 0], trip=1) == 13
    # the first is done at 11, the others wait for the line: 12, 13, 14
    assert region_us([0, 10, 9, 8], trip=1) == 14
    # the last one is done at 23, and counts itself
    assert region_us([0, 10, 10, 20], trip=1) == 24


def test_every_fourth_thread_wakes_three_more():
    # the caller wakes 4 and 8, then 1, 2 and 3; these two begin after their own three
    assert begins(10, trip=1) == [5, 3, 4, 5, 4, 2, 3, 4, 3, 3]
    assert begins(2, trip=1) == [1, 1]


def test_losses_are_what_a_step_takes_beyond_its_part_of_one_thread():
    one, four = step(4, (80,)), step(4, (30, 30, 24, 0))
    found = losses(one, four, trip=1)
    # 84 us in all: 28 for each of three who had a share, 21 for each of four; one thread would take 80
    assert found == Losses(idle=7, unequal=2, exchange=1, serial=3, barrier=3)
    assert found.us == pytest.approx(four.us(trip=1) - one.us(trip=1) / 4)
    assert found.limit == "idle"


def test_losses_of_a_network_add_up():
    one, two = [step(1, (8,)), step(0, (4,), (6,))], [step(1, (5, 4)), step(0, (2, 2), (3, 4))]
    lost = total(one, two, trip=0.5)
    assert network_us(one, 0.5) == 19
    assert lost.us == pytest.approx(network_us(two, 0.5) - 19 / 2)


def test_a_step_without_regions_is_serial():
    assert losses(step(3), step(3), trip=1) == Losses(serial=0)


LINES = [
    "sparsecc-alone 1 2 1",
    *("run 0 0 5200", "barrier 0 200", "barrier 1 100"),
    *("share 0 0 0 0 4000", "share 1 0 0 0 6000", "serial 0 0 300", "share 0 0 0 1 7000", "share 1 0 0 1 7000"),
    "done",
]


def test_samples_are_read_and_medians_taken():
    samples = Samples()
    samples.add(LINES)
    assert samples.steps(["conv"]) == [StepTimes("conv", 0.3, ((5.0, 7.0),))]
    assert samples.run_us() == [5.2]
    assert samples.barrier == [200, 100]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "found '' and no end"),
        (LINES[:-1], "and no end in the program's output"),
        (["sparsecc-alone 2 2 1", "done"], "expected 'sparsecc-alone 1'"),
        ([LINES[0], "shore 0 0 1", "done"], "found 'shore'"),
    ],
)
def test_other_output_is_refused(lines, message):
    with pytest.raises(RuntimeError, match=message):
        Samples().add(lines)


def made(one: float, eight: float, real: float, net: str = "resnet50", rows: str = "uniform") -> scaling.Scaling:
    steps = {1: [step(0, (one,))], 2: [step(0, (one / 2,) * 2)], 8: [step(0, (eight,) * 8)]}
    return scaling.Scaling(net, rows, steps, 0.0, {1: one, 2: real}, "near")


def test_verdicts():
    assert list(scaling.missed([made(80, 10, 43), made(80, 20, 40, rows="unequal")])) == []
    assert list(scaling.missed([made(80, 20, 50)])) == [
        "resnet50, uniform rows: 2 threads take 50 us, predicted 40",
        "resnet50, uniform rows: 4.0 times faster on 8 threads, expected 7",
    ]


def test_tables():
    found = made(80, 20, 40)
    lines = scaling.overview([found]).splitlines()
    assert lines[4] == "| resnet50 | uniform | near | 8 | 0.02 | 4.00 | – | 0 % | 0 % | 50 % | 0 % | 0 % |"  # noqa: RUF001
    rows = scaling.by_step(found, 8, count=5).splitlines()
    assert rows[4] == "| `conv` | 80 | 20.0 | 4.0 | 0.0 | 0.0 | 10.0 | 0.0 | 0.0 | exchange |"


def test_the_program_times_every_share(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 32, 1), nn.ReLU()).eval()
    keys = build(model, torch.zeros(1, 8, 32, 32), tmp_path / "program")
    for threads in (1, 2, 5):
        samples = Samples()
        samples.add(run_alone(tmp_path / "program", threads=threads, passes=2))
        steps = samples.steps(keys)
        assert [s.key for s in steps] == list(keys)
        assert {len(shares) for s in steps for shares in s.regions} == {threads}
        assert len(samples.run_us()) == (len(keys) if threads <= 2 else 0)
        assert bool(samples.barrier) == (threads == 2)
    with pytest.raises(RuntimeError, match="ended with code 2"):
        run_alone(tmp_path / "program", threads=0, passes=1)
