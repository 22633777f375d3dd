"""How much memory a compilation takes: weights are many, and must not be held many times."""

from __future__ import annotations

import errno
import mmap
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import sparsecc
from sparsecc.build import spill
from sparsecc.build.spill import spilled, spilled_if_large
from sparsecc.facts.on_disk import forget, pieces

#: layers of 96 MiB, and what of them a compilation adds to the most that was in memory before; the process's own mark
#: in the place of getrusage's, which begins with that of the process that started it
_CHILD = """\
import torch, sparsecc
def most():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
def compiled(features):
    model = torch.nn.Sequential(torch.nn.Linear(4096, features), torch.nn.Linear(features, 4096)).eval()
    before = most()
    sparsecc.compile(model, example_inputs=(torch.randn(1, 4096),))
    print(most() - before)
compiled(64)
compiled(3072)
"""


def test_weights_are_not_in_memory_many_times() -> None:
    """Beside the model's own: half of them packed, later all in the library, and what a stage needs besides."""
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-1]) < 1.5 * 96


def test_weights_on_disk_are_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = (np.arange(7, dtype=np.int8), np.zeros(0, np.float32), np.arange(6, dtype=np.float32).reshape(2, 3).T)
    assert spilled(weights)[0] is weights[0]  # small ones stay
    monkeypatch.setattr(spill, "LEAST", 0)
    found = spilled(weights)
    for one, other in zip(weights, found, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert isinstance(found[2], np.memmap)


def test_weights_stay_where_there_is_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spill, "LEAST", 0)
    monkeypatch.setattr(spill.tempfile, "TemporaryFile", full)
    weights = (np.arange(7, dtype=np.float32),)
    assert spilled(weights)[0] is weights[0]


def test_weights_stay_where_the_disk_is_nearly_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linking needs the room, and says what is wrong where there is none."""
    monkeypatch.setattr(spill, "_FREE", 1 << 62)
    monkeypatch.setattr(spill, "LEAST", 0)
    weights = (np.arange(7, dtype=np.float32),)
    assert spilled(weights)[0] is weights[0]


def test_large_arrays_go_to_disk_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(spill, "LARGE", 16)
    monkeypatch.setattr(spill, "LEAST", 0)
    small, large = np.arange(3, dtype=np.float32), np.arange(12, dtype=np.float32).reshape(3, 4)
    assert spilled_if_large(small) is small
    found = spilled_if_large(large)
    np.testing.assert_array_equal(found, large)
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert spilled_if_large(found) is found
    assert spilled((found, small))[0] is found
    assert list(tmp_path.iterdir()) == []


def test_what_was_read_of_an_array_on_disk_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "LARGE", 0)
    array = np.arange(4 << 20, dtype=np.float32)
    found = spilled_if_large(array)
    view = np.ascontiguousarray(found).reshape(2, -1)
    assert _resident(found) == 0
    assert view.sum() > 0
    assert _resident(found) >= array.nbytes
    forget(view)
    assert _resident(found) == 0
    assert b"".join(map(bytes, pieces(view))) == array.tobytes()
    assert _resident(found) == 0
    forget(array)  # in memory: nothing to give back
    assert array[-1] == array.size - 1


def test_packed_weights_wait_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of every kind of kernel, and Winograd's before they are packed; results are right."""
    monkeypatch.setattr(spill, "LARGE", 1 << 12)
    moved: list[int] = []
    written = spill._written

    def counted(arrays: Sequence[NDArray[Any]], *, nbytes: int) -> Any:
        moved.extend(array.nbytes for array in arrays)
        return written(arrays, nbytes=nbytes)

    monkeypatch.setattr(spill, "_written", counted)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3, padding=1),
        torch.nn.Flatten(), torch.nn.Linear(32 * 28 * 28, 8),
    )  # fmt: skip
    compiled = sparsecc.compile(model.eval(), example_inputs=(torch.randn(1, 16, 28, 28),))
    assert compiled.report.error is not None
    assert compiled.report.error < 1e-4
    assert moved.count(4 * 36 * 32 * 32) == 2  # transformed, and packed
    assert 4 * 8 * 32 * 28 * 28 in moved


def _resident(array: NDArray[Any]) -> int:
    """Bytes of an array on disk that this process has in memory."""
    address, found = f"{array.ctypes.data - array.ctypes.data % mmap.PAGESIZE:x}-", False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found and line.startswith("Rss:"):
            return 1024 * int(line.split()[1])
        found = found or line.startswith(address)
    raise AssertionError("the array is no mapping of its own")
