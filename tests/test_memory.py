"""How much memory a compilation takes: weights are many, and must not be held many times."""

from __future__ import annotations

import copy
import errno
import gc
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
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import sparsecc
from sparsecc.analyse import block_rows
from sparsecc.analyse.impose import Impose, imposed, pruned_blocks
from sparsecc.analyse.structure import find_structure
from sparsecc.build import spill
from sparsecc.build.spill import spilled, spilled_if_large
from sparsecc.errors import LibraryError
from sparsecc.importer.impose import from_array
from sparsecc.ir import on_disk
from sparsecc.ir.blocks import aligned_grouping, to_blocks
from sparsecc.ir.on_disk import forget, pieces
from sparsecc.runtime.binding import Instance
from sparsecc.runtime.carried import CarriedLibrary
from sparsecc.runtime.library import Library

#: layers of 96 MiB, and what of them a compilation adds to the most that was in memory before; the process's own mark
#: in the place of getrusage's, which begins with that of the process that started it
_CHILD = """\
import sys, torch, sparsecc
def most():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
def compiled(features):
    sizes = 64, 4096, features, 4096, 8
    model = torch.nn.Sequential(*(torch.nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))).eval()
    before = most()
    sparsecc.compile(model, example_inputs=(torch.randn(1, 64),), impose=eval(sys.argv[1]))
    print(most() - before)
compiled(64)
compiled(3072)
"""


@pytest.mark.parametrize("impose", ["None", "(4, 0.75)"])
def test_weights_are_not_in_memory_many_times(impose: str) -> None:
    """Beside the model's own: one layer at a time, packed, with a pattern or in the library; and what a stage needs."""
    done = subprocess.run([sys.executable, "-c", _CHILD, impose], capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-1]) < 0.9 * 96


def test_what_verifies_a_library_leaves_its_weights_in_the_file() -> None:
    """The user's first call has them on huge pages, where the system does."""
    x = torch.randn(1, 1024)
    model = torch.nn.Sequential(torch.nn.Linear(1024, 1024), torch.nn.Linear(1024, 1024)).eval()
    compiled = sparsecc.compile(model, example_inputs=(x,), name="seldom", threads=1)
    library = compiled.library
    assert isinstance(library, CarriedLibrary)
    assert _instance(library).is_lean
    with library.leanly():
        found = library(x)
        assert _instance(library).is_lean
    assert sum(_resident_at("memfd:seldom.so")) < 1 << 20
    library.threads = 2
    torch.testing.assert_close(library(x), found, rtol=0, atol=0)
    ordinary = _instance(library)
    assert not ordinary.is_lean
    library(x)
    assert _instance(library) is ordinary
    assert library.threads == 2
    twin = copy.copy(library)
    assert _instance(twin).is_lean
    torch.testing.assert_close(twin(x), found, rtol=0, atol=0)
    twin.close()
    with pytest.raises(LibraryError, match="closed"):
        twin(x)


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
    monkeypatch.setattr(spill, "FREE", 1 << 62)
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


def test_what_pytorch_read_of_an_array_on_disk_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its views do not say whose memory they have."""
    monkeypatch.setattr(spill, "LARGE", 0)
    found = spilled_if_large(np.ones((8, 1 << 18), np.float32))
    tensor = from_array(found)
    turned = tensor.t()
    assert turned.sum() == 1 << 21
    assert _resident(found) >= found.nbytes
    forget(turned.numpy())
    assert _resident(found) == 0
    address = found.ctypes.data
    assert address in on_disk._mappings
    del found, tensor, turned
    gc.collect()
    assert address not in on_disk._mappings


@given(
    st.integers(1, 3), st.integers(1, 20), st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.integers(1, 200)
)  # fmt: skip
def test_large_layers_are_looked_at_in_parts(groups, per_group, ic, block_n, sparsity, piece):
    """Which changes nothing: neither a pattern, equal norms and NaN included, nor its blocks and their indices."""
    weight = np.random.default_rng(7).integers(-2, 3, (groups * per_group, ic, 1, 2)).astype(np.float32)
    weight[::7, 0] = np.nan
    impose, grouping = Impose(block_n, sparsity), aligned_grouping(len(weight), groups=groups, block_n=block_n)

    def found() -> tuple[Any, ...]:
        pruned = imposed(weight, impose, groups=groups)
        blocks = to_blocks(pruned, groups=groups, grouping=grouping)
        return pruned, blocks.data, blocks.indices, blocks.indptr, find_structure(pruned, groups=groups).to_json()

    whole = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_disk, "PIECE", piece)
        patch.setattr(block_rows, "AT_ONCE", piece)
        parts = found()
    np.testing.assert_array_equal(whole[0], _least_are_zero(weight, impose, groups))
    for one, other in zip(whole[:4], parts[:4], strict=True):
        np.testing.assert_array_equal(one, other)
    assert str(whole[4]) == str(parts[4])


def _least_are_zero(weight: NDArray[np.float32], impose: Impose, groups: int) -> NDArray[np.float32]:
    """A pattern as sorting gives it."""
    blocks = [
        (channels[start : start + impose.block_n], column)
        for channels in np.split(np.arange(len(weight)), groups)
        for start in range(0, len(channels), impose.block_n)
        for column in range(weight.shape[1])
    ]
    norms = [np.abs(weight[rows, column]).sum(dtype=np.float64) / len(rows) for rows, column in blocks]
    result = weight.copy()
    for i in np.argsort(norms, kind="stable")[: pruned_blocks(len(blocks), impose.sparsity)]:
        result[blocks[i]] = 0
    return result


def test_packed_weights_wait_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of every kind of kernel, and Winograd's before they are packed; results are right."""
    monkeypatch.setattr(spill, "LARGE", 1 << 12)
    moved: list[int] = []
    written = spill.written_to_disk

    def counted(arrays: Sequence[NDArray[Any]], *, nbytes: int) -> Any:
        moved.extend(array.nbytes for array in arrays)
        return written(arrays, nbytes=nbytes)

    monkeypatch.setattr(spill, "written_to_disk", counted)
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


def _instance(library: Library) -> Instance:
    assert library._instance is not None
    return library._instance


def _resident(array: NDArray[Any]) -> int:
    """Bytes of an array on disk that this process has in memory."""
    (found,) = _resident_at(f"{array.ctypes.data - array.ctypes.data % mmap.PAGESIZE:x}-")
    return found


def _resident_at(name: str) -> list[int]:
    """Bytes in memory of each mapping whose line has the name."""
    sizes, found = [], False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found and line.startswith("Rss:"):
            sizes.append(1024 * int(line.split()[1]))
            found = False
        found = found or name in line
    assert sizes, "there is no such mapping"
    return sizes
