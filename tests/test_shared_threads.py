"""One budget of threads for all libraries of a process."""

from __future__ import annotations

import gc
from pathlib import Path

import kernels_c
import pytest
from forked import in_child
from held_runs import Held, held

from sparsecc.runtime import Library, load

THREADS = 4


@pytest.fixture(autouse=True)
def _four_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSECC_THREADS", str(THREADS))


def build(name: str) -> Path:
    """A library whose runs last until they are told to go on."""
    return kernels_c.build(kernels_c.held(name), cc=kernels_c.LEARNS_NOTHING)


@pytest.fixture(scope="module")
def files() -> tuple[Path, Path]:
    """Two libraries that know nothing of each other."""
    return build("one_held"), build("two_held")


def threads_of(library: Library) -> int:
    """Threads of a run now."""
    with held(library) as run:
        pass
    return run.before


def boards() -> int:
    """Pages where threads are counted."""
    return Path("/proc/self/maps").read_text().count("/memfd:sparsecc-threads-1 (deleted)")


def test_libraries_share_the_cores(files: tuple[Path, Path]) -> None:
    """Who is there gives back what others come for, and later takes it again."""
    one, two = map(load, files)
    assert (one.threads, two.threads) == (THREADS, THREADS)
    with held(one) as first:
        with held(two) as second:
            assert (first.before, second.before) == (4, 2)
            with held(load(files[0])) as third:
                assert third.before == 1
            first.end()
            assert first.after == 2
        assert second.after == 2
    assert [threads_of(library) for library in (one, two, load(files[1]))] == [THREADS] * 3
    assert boards() == 1


def test_as_many_instances_as_there_are_cores_have_one_each(files: tuple[Path, Path]) -> None:
    libraries = [load(files[i % 2]) for i in range(2 * THREADS)]
    runs = [Held(library) for library in libraries]
    for run in runs:
        run.begin()
    assert [run.before for run in runs] == [4, 2] + [1] * 6
    for run in runs:
        run.end()
    assert [run.after for run in runs][:4] == [1] * 4
    assert threads_of(libraries[0]) == THREADS


def test_a_number_of_its_own_stays_and_counts(files: tuple[Path, Path]) -> None:
    one, two = load(files[0], threads=3), load(files[1])
    with held(one) as first:
        assert threads_of(two) == 1
    assert (first.before, first.after) == (3, 3)
    with held(two) as first:
        one.threads = 2
        with held(one) as second:
            first.end()
        assert (first.before, first.after, second.before, second.after) == (4, 2, 2, 2)
    many = load(files[1], threads=6)
    with held(many) as first:
        assert (first.before, threads_of(two)) == (6, 1)
    one.threads = 0
    assert threads_of(one) == THREADS


def test_copies_choose_as_the_first_one_did(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    one, fixed = load(files[0]), load(files[0], threads=3)
    monkeypatch.setenv("SPARSECC_THREADS", "2")
    assert [library.__copy__().threads for library in (one, fixed)] == [2, 3]
    again, arguments = one.__reduce__()
    assert again(*arguments).threads == 2


def test_a_forked_child_has_all_for_itself(files: tuple[Path, Path]) -> None:
    one, two = map(load, files)
    with held(one) as first:
        assert in_child(lambda: (threads_of(two), threads_of(one), boards()) == (THREADS, THREADS, 1))
        assert first.before == THREADS
    assert threads_of(two) == THREADS


def test_libraries_that_are_gone_leave_the_others_their_page(files: tuple[Path, Path]) -> None:
    """Also the one that made it, and one whose threads had been counted there."""
    for _ in range(2):
        gone = load(build("gone_held"))
        assert threads_of(gone) == THREADS
        gone.close()
        del gone
        gc.collect()
        assert "gone_held" not in Path("/proc/self/maps").read_text()
        with held(load(files[0])):
            assert threads_of(load(files[1])) == 2
    assert boards() == 1
