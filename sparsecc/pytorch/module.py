"""A library as a ``torch.nn.Module``, and as an operator that PyTorch's tracers know: ``torch.ops.sparsecc.run``.

An operator's arguments are tensors and plain values, so it names its library by a key. A library is found by its key as
long as somebody has it; what was traced (``torch.export``, ``torch.compile``) keeps its libraries for the life of the
process, for a graph can't.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from typing import Any, Protocol

import torch

from sparsecc.errors import InputError, LibraryError


class Port(Protocol):
    """Name, shape and element type of an input or output."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""

    @property
    def dtype(self) -> str:
        """Its element type."""


class AnyLibrary(Protocol):
    """What of a library this needs."""

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Of every input."""

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Of every output."""

    def shape_of(self, *sizes: Any) -> Any:
        """The shape, with ``inputs`` and ``outputs``, of a call with inputs of these sizes."""

    @property
    def description(self) -> dict[str, Any]:
        """What the library says about itself."""

    def __call__(self, *inputs: Any, out: Any = None) -> Any:
        """Run the network."""

    def pack(self, results: Any) -> Any:
        """A call's result, of its outputs one by one."""


_libraries: dict[str, weakref.WeakSet[Any]] = {}
#: those that a traced graph names
_kept: dict[str, Any] = {}


class LibraryModule(torch.nn.Module):  # type: ignore[misc]
    """A module that runs a library; ``lib.as_module()`` makes it.

    It has no parameters, works in evaluation and in training mode alike, and has no gradient: PyTorch says so where
    one is asked for. ``torch.export`` and ``torch.compile`` take it as one operator.
    """

    def __init__(self, library: AnyLibrary) -> None:
        super().__init__()
        self.library = library
        self.key = _key(library)
        _libraries.setdefault(self.key, weakref.WeakSet()).add(library)

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Run the network on tensors; the result is put together as the network's."""
        return self.library.pack(torch.ops.sparsecc.run(list(inputs), self.key))

    def extra_repr(self) -> str:
        """The library."""
        return repr(self.library)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _libraries.setdefault(self.key, weakref.WeakSet()).add(self.library)

    def __deepcopy__(self, memo: object) -> LibraryModule:
        return LibraryModule(self.library.__copy__() if hasattr(self.library, "__copy__") else self.library)


@torch.library.custom_op("sparsecc::run", mutates_args=(), device_types="cpu")  # type: ignore[untyped-decorator]
def run(inputs: list[torch.Tensor], key: str) -> list[torch.Tensor]:
    """Run the library of a key; gives its outputs one by one."""
    library = _library(key)
    shape = library.shape_of(*(value.shape for value in inputs))
    results = [torch.empty(port.shape, dtype=getattr(torch, port.dtype)) for port in shape.outputs]
    library(*(value.detach() for value in inputs), out=tuple(results))
    return results


@run.register_fake  # type: ignore[untyped-decorator]
def _(inputs: list[torch.Tensor], key: str) -> list[torch.Tensor]:
    """Shapes and types, while a graph is traced that will name the key."""
    library = _kept[key] = _library(key)
    if len(inputs) != len(library.inputs):
        raise InputError(f"{_name(library)}: found {len(inputs)} input(s), expected {len(library.inputs)}")
    shape = library.shape_of(*(value.shape for value in inputs))
    for i, (value, port) in enumerate(zip(inputs, shape.inputs, strict=True)):
        if tuple(value.shape) != port.shape or value.dtype != getattr(torch, port.dtype):
            found = f"{value.dtype} of shape {tuple(value.shape)}"
            expected = f"{port.dtype} of shape {port.shape}"
            raise InputError(f"{_name(library)}, input {i} ({port.name}): found {found}, expected {expected}")
    return [torch.empty(port.shape, dtype=getattr(torch, port.dtype)) for port in shape.outputs]


def _library(key: str) -> AnyLibrary:
    found: AnyLibrary | None = next(iter(_libraries.get(key, ())), None)
    if found is None:
        raise LibraryError(
            f"no library {key} in this process, which a traced graph names; load the one it was traced with "
            "(sparsecc.load(path).as_module()) first"
        )
    return found


def _key(library: AnyLibrary) -> str:
    """The network's name and its build; of libraries that are older than that number, a digest of what they say."""
    told = library.description
    build = told.get("build") or hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
    return f"{told['name']}-{build}"


def _name(library: AnyLibrary) -> str:
    return str(library.description["name"])
