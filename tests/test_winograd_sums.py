"""Products of dense layers with many channels: sums of parts, whose rounding is smaller than that of one long sum."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers import RUNNABLE, Job, run_jobs
from test_winograd import check, conv, job_of
from winograd_case import expected_of

from sparsecc.ir.winograd import POINTS, SUMMED, summed_channels
from sparsecc.kernels.direct_shape import DirectConfig

Pick = Callable[[list[DirectConfig]], DirectConfig]
LANES = (4, 8, 16)
_ONE_SUM = (("sparsecc.lower.direct.summed_channels", lambda _ic: 0),)


@pytest.mark.parametrize(
    ("ic", "summed"),
    [(1, 0), (8, 0), (32, 0), (33, 0), (40, 20), (64, 32), (67, 0), (96, 32), (100, 25), (512, 32), (514, 0)],
)
def test_parts_are_equal_and_neither_long_nor_short(ic: int, summed: int) -> None:
    assert summed_channels(ic) == summed
    assert summed == 0 or (ic % summed == 0 and SUMMED // 2 <= summed <= SUMMED)


def error(job: Job, *, target: str) -> float:
    (found,) = run_jobs([job], target=target)
    expected = expected_of(job)
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("m", POINTS)
def test_rounding_of_many_channels(m: int, target: str) -> None:
    """Measured: 0.35 to 0.40 of one sum's."""
    layer = job_of(conv(512, 16, 7, 7), m)
    assert error(layer, target=target) < 0.5 * error(replace(layer, patches=_ONE_SUM), target=target)


def widest(space: list[DirectConfig]) -> DirectConfig:
    return max((c for c in space if c.lanes in LANES), key=lambda c: (c.lanes, c.reg_n * c.vectors, c.rows_outer))


def ahead(space: list[DirectConfig]) -> DirectConfig:
    return replace(widest(space), ahead=True)


def tiles_outer(space: list[DirectConfig]) -> DirectConfig:
    return max(space, key=lambda c: (not c.rows_outer, c.singles > 0, c.reg_n * c.vectors))


def singles(space: list[DirectConfig]) -> DirectConfig:
    return max(space, key=lambda c: (c.singles > 0, c.reg_n > 1, c.vectors))


@pytest.mark.parametrize("pick", [widest, ahead, tiles_outer, singles], ids=lambda pick: pick.__name__)
def test_every_kind_of_config(pick: Pick) -> None:
    """Whole tiles and their rest; 17 tiles leave one over for single pixels."""
    jobs = [job_of(spec, 4) for spec in (conv(40, 16, 14, 14), conv(64, 24, 4, 68), conv(96, 16, 12, 24, n=2))]
    check([replace(job, pick=pick) for job in jobs], target=RUNNABLE[0])


@pytest.mark.parametrize("target", RUNNABLE)
def test_channels_as_lanes(target: str) -> None:
    """The kernel that has channels as its vectors."""
    patches = (
        ("sparsecc.lower.direct.predict", lambda *_: math.inf),
        ("sparsecc.lower.conv.schedule_direct", lambda *_: pytest.fail("pixels as vectors")),
    )
    job = job_of(conv(64, 16, 14, 14), 4)
    check([replace(job, patches=patches)], target=target)
