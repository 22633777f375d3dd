"""Calling a compiled library: arrays and tensors in and out, and what is said of wrong ones."""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kernels_c
import numpy as np
import pytest
from kernels_c import X, Y

from sparsecc.errors import InputError, UserError
from sparsecc.runtime import Library, Port, load, writable


@pytest.fixture(scope="module")
def pair() -> Library:
    return load(kernels_c.build(kernels_c.two_ports()))


def test_numpy_in_numpy_out(library: Library) -> None:
    y = library(X)
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, Y)
    assert library.inputs == (Port("x", (3, 5, 7), "float32"),)
    assert library.outputs == (Port("y", (3, 5, 7), "float32"),)
    assert (library.target, library.report) == ("x86-64", {"layers": []})
    assert library.description["arena_bytes"] > 0
    assert "tiny(x[3, 5, 7]) -> y[3, 5, 7]" in repr(library)


def test_strided_and_foreign_inputs(library: Library) -> None:
    wide = np.zeros((3, 5, 14), "float32")
    wide[..., ::2] = X
    transposed = np.ascontiguousarray(X.transpose(2, 1, 0)).transpose(2, 1, 0)
    unaligned = np.frombuffer(b"\0" + X.tobytes(), "float32", offset=1).reshape(X.shape)
    read_only = X.copy()
    read_only.flags.writeable = False

    class Exporter:
        def __dlpack__(self, **options: Any) -> Any:
            return X.__dlpack__(**options)

        def __dlpack_device__(self) -> Any:
            return X.__dlpack_device__()

    for x in (wide[..., ::2], transposed, unaligned, read_only, Exporter()):
        np.testing.assert_array_equal(library(x), Y)


def test_several_inputs_and_outputs(pair: Library) -> None:
    c, d = pair(X, 2 * X)
    np.testing.assert_array_equal(c, Y)
    np.testing.assert_array_equal(d, kernels_c.tiny_reference(2 * X))
    out = (np.empty_like(X), np.empty_like(X))
    result = pair(X, 2 * X, out=out)
    assert result[0] is out[0]
    assert result[1] is out[1]
    np.testing.assert_array_equal(out, (c, d))


def test_out_is_written_in_place_even_over_the_input(library: Library) -> None:
    out = np.empty_like(X)
    assert library(X, out=out) is out
    np.testing.assert_array_equal(out, Y)
    (same,) = library(X, out=(out,))
    assert same is out
    x = X.copy()
    library(x, out=x)
    np.testing.assert_array_equal(x, Y)


def test_torch_in_torch_out(library: Library, pair: Library) -> None:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X.copy()).requires_grad_()
    y = library(x)
    assert isinstance(y, torch.Tensor)
    assert not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), Y)
    strided = torch.zeros(3, 5, 14)[..., ::2].copy_(x.detach())
    assert torch.equal(library(strided), y)
    negative = torch.complex(torch.zeros(3, 5, 7), -x.detach()).conj().imag  # a view that stores -x
    assert negative.is_neg()
    assert torch.equal(library(negative), y)
    out = torch.empty(3, 5, 7)
    assert library(X, out=out) is out
    assert torch.equal(out, y)
    assert all(isinstance(v, torch.Tensor) for v in pair(x, X))


def wrong_arguments() -> dict[str, tuple[Callable[[Library], Any], str]]:
    good = np.empty_like(X)
    return {
        "count": (lambda lib: lib(X, X), r"tiny: found 2 input\(s\), expected 1 \(x\)"),
        "shape": (lambda lib: lib(X[:2]), r"input 0 \(x\): found shape \(2, 5, 7\), expected \(3, 5, 7\)"),
        "dtype": (lambda lib: lib(X.astype("float64")), "found dtype float64, expected float32"),
        "half": (lambda lib: lib(X.astype("float16")), "found dtype float16, expected float32"),
        "byte order": (lambda lib: lib(X.astype(">f4")), "found dtype >f4, expected float32"),
        "object": (lambda lib: lib(object()), "found object, expected a NumPy array"),
        "ragged": (lambda lib: lib([[1.0], [1.0, 2.0]]), "found list, which NumPy can't read"),
        "out count": (lambda lib: lib(X, out=(good, good)), r"found 2 output\(s\), expected 1 \(y\)"),
        "out shape": (lambda lib: lib(X, out=good[:1]), r"out 0 \(y\): found shape \(1, 5, 7\)"),
        "out dtype": (lambda lib: lib(X, out=np.empty(X.shape, "int32")), "found dtype int32"),
        "out list": (lambda lib: lib(X, out=[1.0]), "found float, expected a NumPy array or torch tensor"),
        "out strided": (lambda lib: lib(X, out=np.empty((3, 5, 14), "float32")[..., ::2]), "expected a contiguous"),
        "out read-only": (lambda lib: lib(X, out=np.broadcast_to(np.float32(0), X.shape)), "expected a contiguous"),
    }


@pytest.mark.parametrize("case", wrong_arguments())
def test_wrong_arguments_are_named(library: Library, case: str) -> None:
    call, message = wrong_arguments()[case]
    with pytest.raises(InputError, match=message):
        call(library)


def test_wrong_tensors_are_named(library: Library) -> None:
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(X.copy())
    for wrong, message in [
        (x.double(), "found dtype float64"),
        (x.bfloat16(), "found dtype bfloat16"),
        (x[:1], r"found shape \(1, 5, 7\)"),
        (x.to("meta"), "on device meta, expected device cpu"),
        (x.to_sparse(), "expected a dense tensor"),
    ]:
        with pytest.raises(InputError, match=rf"tiny, input 0 \(x\): .*{message}"):
            library(wrong)
    for out in (torch.empty(3, 5, 14)[..., ::2], torch.empty(3, 5, 7, requires_grad=True)):
        with pytest.raises(InputError, match="contiguous tensor that does not require"):
            library(x, out=out)


def test_outputs_must_not_share_memory(pair: Library) -> None:
    out = np.empty_like(X)
    with pytest.raises(InputError, match="out 0 and out 1 share memory"):
        pair(X, X, out=(out, out))


def test_profile(library: Library) -> None:
    start = time.perf_counter()
    steps = library.profile(X, runs=3)
    lasted = time.perf_counter() - start
    assert [key for key, _ in steps] == ["pad", "blur", "bias"]
    assert all(0 <= seconds <= lasted for _, seconds in steps)
    with pytest.raises(UserError, match="runs=0"):
        library.profile(X, runs=0)


def mapped(path: Path, *, writable: tuple[bool, ...]) -> np.ndarray[Any, Any]:
    """Three pages of a file that say they may be written; those from which it is true are."""
    path.write_bytes(bytes(len(writable) * mmap.PAGESIZE))
    array = np.memmap(path, "float32", "r+")
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for i, allowed in enumerate(writable):
        rights = mmap.PROT_READ | (mmap.PROT_WRITE if allowed else 0)
        assert protect(array.ctypes.data + i * mmap.PAGESIZE, mmap.PAGESIZE, rights) == 0
    return array


@pytest.mark.parametrize("old_kernel", [False, True])
def test_out_is_never_read_only_memory(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_kernel: bool
) -> None:
    torch = pytest.importorskip("torch")
    if old_kernel:
        monkeypatch.setattr(writable, "POPULATE_WRITE", 12345)
    page = mmap.PAGESIZE // 4
    for rights, start, fits in [
        ((False,), 0, False),
        ((True,), 0, True),
        ((True, False), page - X.size, True),
        ((True, False), page - X.size + 1, False),
        ((False, True), page, True),
        ((False, True), page - 1, False),
        ((True, True), page - 1, True),
    ]:
        memory = mapped(tmp_path / "numbers", writable=rights)
        out = np.asarray(memory)[start : start + X.size].reshape(X.shape)
        for value in (out, torch.from_numpy(out)):
            if fits:
                np.testing.assert_array_equal(library(X, out=value), Y)
                continue
            with pytest.raises(InputError, match=r"out 0 \(y\): its memory is read-only, as of a file.* a copy of it"):
                library(X, out=value)
        assert fits or not memory.any()


def test_writable_says_so_of_nothing_and_of_what_is_not_there() -> None:
    assert writable.is_writable(4096, 4096)
    assert not writable.is_writable(mmap.PAGESIZE, 2 * mmap.PAGESIZE)
    assert not writable.in_table((1 << 63) - mmap.PAGESIZE, 1 << 63)
