"""Threads of a compiled library, and of the program that calls it."""

from __future__ import annotations

import threading

import kernels_c
import numpy as np
import pytest
from held_runs import held
from kernels_c import X

from sparsecc.errors import InternalError, LibraryError, UserError
from sparsecc.runtime import Library, load


def test_any_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    library = load(kernels_c.tiny_library(), threads=1)
    first = library(X).tobytes()
    for threads in (1, 2, 3, 7, 2, 1):
        library.threads = threads
        assert library.threads == threads
        assert all(library(X).tobytes() == first for _ in range(20))
    monkeypatch.setenv("SPARSECC_THREADS", "4")
    library.threads = 0
    assert library.threads == 4
    assert library(X).tobytes() == first
    for wrong in (-1, 1.5, "2"):
        with pytest.raises(UserError, match="expected a number of threads"):
            library.threads = wrong  # type: ignore[assignment]


def test_threads_are_capped() -> None:
    with load(kernels_c.library_of("k_launch"), threads=100_000) as library:
        assert library.threads <= 256


@pytest.mark.parametrize(("kernel", "most"), [("k_threads", 8), ("k_two_threads", 2)])
def test_launches_use_all_threads_and_nested_ones_one(kernel: str, most: int) -> None:
    for threads in (1, 2, 3, 5):
        used = min(threads, most)
        y = load(kernels_c.library_of(kernel), threads=threads)()
        np.testing.assert_array_equal(y[: 2 * used : 2], [1 + used] * used)
        np.testing.assert_array_equal(y[1 : 2 * used : 2], [1] * used)
        assert not y[2 * used :].any()


def test_a_failing_task_fails_the_run_with_its_layer() -> None:
    for threads in (1, 3):
        library = load(kernels_c.library_of("k_fail"), threads=threads)
        for _ in range(3):
            with pytest.raises(InternalError, match=r"fail: step 0 \(fail\) failed with code 7"):
                library()


def test_two_instances_run_at_once_and_one_takes_turns(library: Library) -> None:
    other, wrong = load(kernels_c.tiny_library(), threads=2), []

    def work(lib: Library, factor: float) -> None:
        expected = kernels_c.tiny_reference(np.float32(factor) * X)
        wrong.extend(i for i in range(300) if not np.array_equal(lib(np.float32(factor) * X), expected))

    workers = [threading.Thread(target=work, args=(lib, f)) for f in (1, 2, 3) for lib in (library, other)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_closing_waits_for_nobody_and_breaks_nothing() -> None:
    library = load(kernels_c.build(kernels_c.held("closed"), cc=kernels_c.LEARNS_NOTHING), threads=2)
    with held(library) as run:
        library.close()
    assert run.after == 2
    with pytest.raises(LibraryError, match="closed; load it again"):
        library()


def test_denormals_are_zero_inside_and_untouched_outside() -> None:
    library = load(kernels_c.tiny_library(), threads=2)
    tiny_number = np.float32(1e-40)
    y = library(np.full(kernels_c.SHAPE, tiny_number))
    np.testing.assert_array_equal(y[2], 0)
    assert tiny_number * np.float32(1) != 0
