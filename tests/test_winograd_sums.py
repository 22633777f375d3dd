"""What Winograd's products add up: several sums of parts, for less rounding, or several at a time, for speed.

Dense layers with many channels have a sum for each run of channels; small tiles of pruned ones several sets of sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from helpers import RUNNABLE, Job, run_jobs
from test_winograd import check, conv, job_of
from test_winograd_sparse import job as pruned_job
from winograd_case import expected_of

from sparsecc._tvm import PrimFunc
from sparsecc.ir.winograd import POINTS, SUMMED, summed_channels
from sparsecc.kernels.direct_schedule import schedule_direct
from sparsecc.kernels.direct_sets import set_count
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape

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
    jobs = [job_of(spec, 4) for spec in (conv(40, 16, 14, 14), conv(64, 24, 4, 68))]
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


@pytest.mark.parametrize(
    ("sums", "at_once", "count"), [(4, 8, 2), (2, 8, 4), (1, 8, 4), (3, 8, 2), (5, 8, 1), (8, 8, 1), (1, 0, 1)]
)
def test_sets_keep_a_core_busy_and_fit_its_registers(sums: int, at_once: int, count: int) -> None:
    assert set_count(sums, at_once) == count


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("block_n", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_sets_of_sums(block_n: int, target: str) -> None:
    """Rows with every number of kept blocks, none included; whole tiles alone, and with single pixels and a rest."""
    specs = (conv(9, 4 * block_n, 14, 14), conv(9, 4 * block_n, 4, 68))
    jobs = [pruned_job(spec, 4, block_n=block_n, kept=kept) for spec in specs for kept in (0.5, 0.2)]
    picks = (smallest, smallest_with_singles)
    check([replace(job, pick=pick) for job, pick in zip(jobs, (*picks, *picks), strict=True)], target=target)


def smallest(space: list[DirectConfig]) -> DirectConfig:
    return min(space, key=lambda c: (c.vectors * c.reg_n, -c.lanes))


def smallest_with_singles(space: list[DirectConfig]) -> DirectConfig:
    return min(space, key=lambda c: (not c.singles, c.vectors, c.reg_n, -c.lanes))


def test_only_pruned_products_have_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense ones, and direct kernels, are as they were."""
    made = []

    def counted(shape: DirectShape, config: DirectConfig) -> PrimFunc:
        made.append((shape.spec.groups, shape.at_once, shape.summed))
        return schedule_direct(shape, config)

    monkeypatch.setattr("sparsecc.lower.conv.schedule_direct", counted)
    spec = conv(64, 4, 14, 14)
    pruned, dense = pruned_job(spec, 4, block_n=4), job_of(spec, 4)
    run_jobs([pruned, dense, replace(pruned, tile=None), replace(dense, tile=None)], target="x86-64-v3")
    assert sorted(made) == [(1, 0, 0), (1, 0, 0), (36, 0, 32), (36, 8, 0)]
