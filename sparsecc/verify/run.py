"""Run a compiled network on the example inputs: here, or what was built for here from kernels of another target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from sparsecc._codegen import compile_object
from sparsecc._tvm import PrimFunc
from sparsecc.artefact import Artefact
from sparsecc.importer import Imported
from sparsecc.runtime import Library
from sparsecc.runtime.carried import CarriedLibrary
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.target import Target
from sparsecc.verify.compare import Array

#: links a network, runs it on the example, and gives its outputs
Run: TypeAlias = Callable[[Artefact], list[Array]]


def linked(imported: Imported, *, cc: str | None) -> Run:
    """Runs code for this machine, on one thread."""

    def run(artefact: Artefact) -> list[Array]:
        with scratch_folder() as folder:
            path = folder / f"{artefact.program.name}.so"
            artefact.link(path, cc=cc)
            library = CarriedLibrary(path, threads=1)
            with library, library.leanly():
                return outputs(library, imported)

    return run


def rebuilt(functions: Mapping[str, PrimFunc], imported: Imported, *, host: Target) -> Run:
    """Runs the very kernels of another target, with its layouts and widths, as code for this machine."""
    kernels = compile_object(functions, host.llvm).data

    def run(artefact: Artefact) -> list[Array]:
        return linked(imported, cc=None)(replace(artefact, kernels=kernels, target=host))

    return run


def outputs(library: Library, imported: Imported) -> list[Array]:
    """The library's results for the example, after a run on NaN."""
    shape = library.shape_of(*(x.shape for x in imported.example))
    results = [_unwritten(port.shape, port.dtype) for port in shape.outputs]
    for given in (_nan(imported), [x.numpy() for x in imported.example]):
        library(*given, out=tuple(results))
    return results


def _unwritten(shape: tuple[int, ...], dtype: str) -> Array:
    return np.full(shape, np.nan if np.issubdtype(dtype, np.floating) else 0, dtype)


def _unlike(array: Array) -> Array:
    """What a kernel that reads stale memory would be found out by: NaN, or the largest integers."""
    if np.issubdtype(array.dtype, np.floating):
        return np.full_like(array, np.nan)
    return np.full_like(array, True if array.dtype == np.bool_ else np.iinfo(array.dtype).max)


def _nan(imported: Imported) -> list[Array]:
    return [_unlike(x.numpy()) for x in imported.example]
