"""What the tests of the whole compiler share: compile a module and hold the result against PyTorch."""

from __future__ import annotations

import atexit
import ctypes
import functools
import mmap
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils._pytree import tree_leaves

import sparsecc
from sparsecc.options import Options
from sparsecc.pipeline import Artefact, run
from sparsecc.target import TARGETS, resolve
from sparsecc.verify import _all_outputs

Array = NDArray[Any]
Shape = tuple[int, ...]

#: targets whose code this machine runs; all of them are compiled for in the tests that only read code
RUNNABLE = [name for name, target in TARGETS.items() if target.runs_here()]

_PAGE = mmap.PAGESIZE
_LIBC = ctypes.CDLL(None, use_errno=True)


def guarded(array: Array, *, at_end: bool = True) -> Array:
    """A copy that ends (or begins) at a page of memory that nobody may touch: to overrun it ends the process."""
    room = -(-max(array.nbytes, 1) // _PAGE) * _PAGE
    pages = mmap.mmap(-1, room + 2 * _PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    for page in (start, start + _PAGE + room):
        if _LIBC.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(_PAGE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = _PAGE + (room - array.nbytes) * at_end
    copy = np.frombuffer(pages, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy


def random_inputs(*shapes: Shape, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Normal random tensors, the same on every run."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def leaves(value: Any) -> list[Any]:
    """Tensors of a result, however they are packed."""
    return list(tree_leaves(value))


@functools.cache
def folder() -> Path:
    """A temporary folder for this test process."""
    path = Path(tempfile.mkdtemp(prefix="sparsecc-test-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def run_strictly(artefact: Artefact, inputs: Sequence[torch.Tensor]) -> list[Array]:
    """Results of a library in which every buffer has memory of its own, full of NaN and between forbidden pages.

    One and three threads must agree bit for bit.
    """
    path = folder() / "strict.so"
    replace(artefact, program=_all_outputs(artefact.program)).link(path)
    count, runs = len(artefact.program.outputs), []
    for threads, at_end in ((1, True), (3, False)):
        with sparsecc.load(path, threads=threads) as library:
            given = [guarded(x.detach().numpy(), at_end=at_end) for x in inputs]
            results = [guarded(np.full(p.shape, np.nan, "float32"), at_end=at_end) for p in library.outputs]
            library(*given, out=tuple(results))
        runs.append(results[:count])
    for one, three in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.view(np.int32), three.view(np.int32))
    return runs[0]


def compiled(
    model: Any, inputs: Sequence[torch.Tensor] | None = None, *, target: str = "native", **options: Any
) -> Artefact:
    """Compile without linking."""
    return run(model, inputs, resolve(target), Options(**options), progress=lambda stage: None)[0]


@torch.no_grad()
def agree(
    model: nn.Module,
    *shapes: Shape,
    inputs: Sequence[torch.Tensor] | None = None,
    form: Callable[[nn.Module, Sequence[torch.Tensor]], Any] = lambda model, inputs: model,
    tolerance: float = 1e-5,
    **options: Any,
) -> Artefact:
    """Compile ``form`` of a model and hold it against PyTorch running the model."""
    given = random_inputs(*shapes) if inputs is None else tuple(inputs)
    model = model.eval()
    artefact = compiled(form(model, given), given, **options)
    expected = leaves(model(*(x.clone() for x in given)))
    found = run_strictly(artefact, given)
    assert [y.shape for y in found] == [tuple(y.shape) for y in expected]
    for y, want in zip(found, expected, strict=True):
        close(y, want.numpy(), tolerance=tolerance)
    return artefact


def kinds(artefact: Artefact) -> list[str]:
    """Kinds of the kernels that a network runs, in order."""
    return [str(step["kind"]) for step in artefact.report.steps]


def close(found: Array, expected: Array, *, tolerance: float) -> None:
    """Assert that the largest difference is small relative to the largest expected value; NaN and Inf stay."""
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)) or 1.0
    finite = np.isfinite(expected)
    np.testing.assert_allclose(found[finite] / scale, expected[finite] / scale, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(found[~finite], expected[~finite])
