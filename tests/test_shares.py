"""How layers are cut into shares for threads; that shares cover a layer is tested with the kernels."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sparsecc._tvm import TOGETHER, PrimFunc, T
from sparsecc.kernels import shares
from sparsecc.kernels.function import floats, kernel
from sparsecc.kernels.tiles import cut

flats = st.integers(1, 20_000)


@given(flat=flats, lanes=st.sampled_from([4, 8, 16]), vectors=st.integers(1, 8))
def test_halves_of_large_planes_are_about_equal_and_meet_between_tiles(flat: int, lanes: int, vectors: int) -> None:
    tiles = cut(flat, lanes=lanes, vectors=vectors)
    split = shares.middle(tiles)
    if split is None:
        return
    assert flat + lanes >= 512
    assert 0 < split < tiles.total
    computed = tiles.count * tiles.pixels + sum(run.count * run.lanes for run in tiles.rest)
    first = split * tiles.pixels
    assert max(first, computed - first) <= 1.05 * computed / 2


def test_small_planes_are_not_halved() -> None:
    assert shares.middle(cut(14 * 15 - 1, lanes=16, vectors=5)) is None
    assert shares.middle(cut(28 * 29 - 1, lanes=16, vectors=5)) == 5
    assert shares.middle_band(2, floats=14 * 15) is None
    assert shares.middle_band(4, floats=28 * 29) == 2
    assert shares.middle_band(7, floats=56 * 57) is None, "three and four bands are too unequal"
    assert shares.middle_band(1, floats=5000) is None


@given(have=st.integers(1, 200), pieces=st.integers(0, 300))
def test_few_shares_are_cut_finer(have: int, pieces: int) -> None:
    parts = shares.finer(have, pieces)
    assert 1 <= parts <= max(1, pieces)
    if have >= shares.ENOUGH:
        assert parts == 1
    elif have * pieces >= shares.ENOUGH:
        assert shares.ENOUGH <= have * parts < 3 * shares.ENOUGH


def test_parts_are_equal_where_that_takes_few_more() -> None:
    assert shares.finer(16, 50) == 5
    assert shares.finer(16, 47) == 4, "it would take 47"
    assert shares.finer(32, 7) == 2
    assert shares.finer(32, 2) == 2
    assert shares.finer(1, 5) == 5


@given(first=st.integers(0, 300), size=st.integers(0, 300), parts=st.integers(1, 20))
def test_parts_of_a_run_cover_it_in_order(first: int, size: int, parts: int) -> None:
    runs = [shares.part_within((first, first + size), parts, part) for part in range(parts)]
    ends = [(int(start), int(end)) for start, end in runs]
    assert (ends[0][0], ends[-1][1]) == (first, first + size)
    assert all(before[1] == after[0] for before, after in pairwise(ends))


@given(total=st.integers(1, 300), parts=st.integers(1, 20))
def test_parts_cover_everything_in_order(total: int, parts: int) -> None:
    ends = [tuple(int(end) for end in shares.part_of(total, parts, part)) for part in range(parts)]
    assert ends[0][0] == 0
    assert ends[-1][1] == total
    assert all(before[1] == after[0] for before, after in pairwise(ends))
    assert max(b - a for a, b in ends) - min(b - a for a, b in ends) <= 1


def _kernel(*loops: int, together: bool = False) -> PrimFunc:
    """Parallel loops one after another, in a region that all threads walk or each in one of its own."""

    def body(buffers: dict[str, Any]) -> None:
        with T.attr(0, TOGETHER, 0) if together else nullcontext():
            for extent in loops:
                with T.parallel(0, extent) as i, T.serial(0, 2) as j:
                    T.buffer_store(buffers["output"], T.float32(0), [2 * i + j])

    return kernel([("output", floats(200))], body)


def test_what_threads_share_out_is_read_from_a_kernel() -> None:
    assert shares.shared_iterations(_kernel(24)) == 24
    assert shares.shared_iterations(_kernel(24, 24)) == 24
    assert shares.shared_iterations(_kernel(24, 12)) == 0
    assert shares.shared_iterations(_kernel()) == 0
    assert shares.shared_iterations(_kernel(24, together=True)) == 0
