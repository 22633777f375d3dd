"""Small images: pixels that whole vectors leave over, and rows that are written with another pitch than read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from cases import Case, build, case_grouping
from helpers import RUNNABLE, Job, run_jobs

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.layout import padded, plain
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.tiles import cut
from sparsecc.lower.cost.decide import work_of
from sparsecc.lower.cost.direct_space import direct_space
from sparsecc.target import resolve
from sparsecc.target.x86 import X86

RELU = Activation("relu")
ONE = (1, 1, 1, 1)

#: image and kernel: 49, 36 and 196 pixels leave 1, 4 and 4 beyond vectors of 16 or 8
SPECS = {
    "7x7": ConvSpec(1, 24, 7, 7, 48),
    "6x6": ConvSpec(2, 16, 6, 6, 32),
    "14x14": ConvSpec(1, 16, 14, 14, 32),
    "7x7_3x3": ConvSpec(1, 16, 7, 7, 32, 3, 3),
    "groups": ConvSpec(1, 32, 7, 7, 32, groups=2),
    "stride_2": ConvSpec(1, 16, 14, 14, 32, stride=(2, 2)),
}


def layer_of(case: Case) -> ConvLayer:
    arrays = build(case)
    bias = np.zeros(case.spec.oc, np.float32) if arrays.bias is None else arrays.bias
    return ConvLayer("layer", "layer", case.spec, arrays.weight, bias)


def with_singles(space: list[DirectConfig]) -> list[DirectConfig]:
    return [config for config in space if config.singles] or space[:1]


def jobs(spec: ConvSpec, name: str) -> Iterator[tuple[Job, np.ndarray]]:
    for block_n in (4, 8, 16):
        for scattered in (False, True):
            case = Case(f"{name}_{block_n}", spec, block_n, uniform=scattered, aligned=not scattered)
            arrays = build(case)
            rows = case_grouping(case, rng=np.random.default_rng(0)) if scattered else arrays.blocks.grouping
            other = np.roll(arrays.y, 1, axis=1)
            for halo in (None, ONE, (0, 2, 1, 0)):
                for pick in (lambda space: with_singles(space)[0], lambda space: with_singles(space)[-1], None):
                    epilogue = Epilogue(RELU, "before" if halo else "none")
                    y = np.maximum(arrays.y + other if halo else arrays.y, 0)
                    top, left, bottom, right = halo or (0, 0, 0, 0)
                    want = np.pad(y, ((0, 0), (0, 0), (top, bottom), (left, right)))
                    inputs = (arrays.x, other) if halo else (arrays.x,)
                    yield Job(layer_of(case), inputs, rows, pick, halo, epilogue), want


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("name", SPECS)
def test_small_images_are_exact(name: str, target: str) -> None:
    made = list(jobs(SPECS[name], name))
    found = run_jobs([job for job, _ in made], target=target)
    wrong = [i for i, ((_, want), y) in enumerate(zip(made, found, strict=True)) if not np.array_equal(y, want)]
    assert wrong == []


@pytest.mark.parametrize("target", X86)
def test_spaces_of_small_images_have_single_pixels(target: str) -> None:
    resolved = resolve(target)
    work = work_of(ConvSpec(1, 64, 7, 7, 64), rows=4, block_n=16, nnzb=64)
    singles = {config.singles for config in direct_space(work, resolved)}
    assert singles == {0, 1}
    most = max((c for c in direct_space(work, resolved) if c.singles), key=lambda c: c.reg_n * c.vectors)
    assert most.reg_n * most.vectors + most.singles < resolved.registers


def test_single_pixels_belong_to_the_last_tile() -> None:
    tiles = cut(49, lanes=16, vectors=3, singles=1)
    assert (tiles.count, tiles.total) == (0, 1)
    assert [(run.start, run.count, run.lanes, run.by_channel) for run in tiles.rest] == [
        (0, 3, 16, False),
        (48, 1, 1, True),
    ]
    tiles = cut(196, lanes=16, vectors=5, singles=4)
    assert (tiles.count, tiles.total) == (2, 3)
    assert [(run.start, run.count, run.lanes) for run in tiles.rest] == [(0, 2, 16), (32, 4, 1)]


def test_staged_where_pitches_differ() -> None:
    spec = ConvSpec(1, 8, 7, 7, 8)
    gaps = padded(7, 7, halo=ONE, pitch=8)

    def shape(source, target) -> DirectShape:
        store = StoreShape(1, 8, target, Epilogue(), masked=target is gaps)
        return DirectShape(spec, source, store, rows=2, block_n=4, nnzb=8, uniform=4, dense=False, scattered=False)

    assert shape(plain(7, 7), gaps).is_staged
    assert (shape(plain(7, 7), gaps).flat, shape(gaps, plain(7, 7)).flat) == (49, 55)
    assert not shape(gaps, gaps).is_staged
