"""Winograd's first transform: vectors of tiles, edges that have code of their own, channels that nobody reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import RUNNABLE, Job
from test_winograd import NONE, SAME, check, conv, job_of

from sparsecc.ir.blocks import aligned_grouping
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.layout import LINE, apart, compact
from sparsecc.ir.winograd import Tiling
from sparsecc.kernels.winograd_cut import Cut, cut, parts
from sparsecc.kernels.winograd_input import WinogradInputShape, row_parts
from sparsecc.rewrite.winograd import read_channels

CUTS = {
    "row": ((56, 4, 16), Cut(16, 16, 1, 14)),
    "two rows": ((28, 4, 16), Cut(16, 8, 2, 7)),
    "image": ((14, 4, 16), Cut(16, 4, 4, 4)),
    "small image": ((7, 4, 16), Cut(4, 2, 2, 2)),
    "halves of a row": ((56, 4, 8), Cut(8, 8, 1, 7, 2)),
    "full vectors": ((64, 4, 16), Cut(16, 16, 1, 16, 1, beyond=True)),
    "parts that repeat": ((56, 4, 4), Cut(4, 4, 1, 4, 4, beyond=True)),
}


@pytest.mark.parametrize("name", CUTS)
def test_cut(name: str) -> None:
    (size, m, lanes), expected = CUTS[name]
    assert cut(Tiling(conv(2, 3, size, size), m), lanes=lanes) == expected


def test_edges_have_code_of_their_own() -> None:
    tiling = Tiling(conv(2, 3, 56, 56), 4)
    shape = WinogradInputShape(tiling, compact(56, 56), compact(1, tiling.tiles), 16)
    rows = row_parts(shape)
    assert (rows.first, rows.end, shape.groups) == (1, 13, 14)
    assert parts(3, lambda i: False) == parts(3, lambda i: i == 2)


@pytest.mark.parametrize("target", RUNNABLE)
def test_wide_images_and_much_padding(target: str) -> None:
    shapes = [(5, 64), (6, 130), (61, 8)]
    jobs = [job_of(conv(2, 2, h, w), 4, seed=w) for h, w in shapes]
    jobs += [job_of(conv(2, 2, h, w, n=2, padding=NONE), 2, seed=w) for h, w in [(4, 67), (9, 3)]]
    jobs.append(job_of(conv(3, 2, 10, 12, padding=(5, 0, 0, 5)), 4))
    check(jobs, target=target)


def with_unread(spec: ConvSpec, m: int, unread: list[int]) -> Job:
    """A layer without weights for some channels."""
    made = job_of(spec, m, halo=SAME)
    assert isinstance(made.layer, ConvLayer)
    weight = made.layer.weight.copy()
    weight[:, unread] = 0
    return replace(
        made, layer=replace(made.layer, weight=weight), rows=aligned_grouping(spec.oc, groups=1, block_n=4),
    )  # fmt: skip


@pytest.mark.parametrize("m", [2, 4])
def test_channels_that_nobody_reads_are_left_out(m: int) -> None:
    """Buffers are full of NaN: a tile that is read and was not transformed would show."""
    check(
        [with_unread(conv(6, 8, 14, 14, n=2), m, unread) for unread in ([0], [1, 2, 5], [0, 1, 2, 3, 4], [*range(6)])]
    )


def test_read_channels() -> None:
    weight = np.ones((2, 4, 3, 3), np.float32)
    assert read_channels(weight) is None
    weight[:, 1] = 0
    weight[0, 2] = -0.0
    assert read_channels(weight) == (0, 2, 3)
    assert read_channels(0 * weight) == (0,)


def test_runs_lie_apart() -> None:
    layout = apart(compact(1, 196), run=64)
    first = [layout.first(64 * p) for p in range(36)]
    lines = {place // LINE % 64 for place in first}
    assert len(lines) == 36
    assert layout.size(36 * 64) == layout.first(36 * 64)
    assert layout.first(65) == layout.first(64) + layout.channel
    assert not layout.is_plain
