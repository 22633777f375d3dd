"""The compiler, imported only when a command needs it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

from sparsecc.errors import ModelError, missing_package
from sparsecc.untrusted import open_file, other_model

_ELF = b"\x7fELF"
#: objects made between two collections of the youngest; Python's own 700 make thousands of them in one import
_YOUNG_OBJECTS = 100_000


@contextmanager
def few_collections() -> Iterator[None]:
    """Search for garbage rarely: what imports and a model that is read make stays, a fifth of the time went there."""
    found = gc.get_threshold()
    gc.set_threshold(_YOUNG_OBJECTS, *found[1:])
    try:
        yield
    finally:
        gc.set_threshold(*found)


def refuse_other_model(path: Path) -> None:
    """ModelError for the file of a model that is neither .pt2 nor ONNX, with how to make one of it."""
    with suppress(OSError):  # who reads it says why it can't be read
        if found := other_model(path):
            raise ModelError(f"{path}: {found}")


def refuse_no_library(path: Path) -> None:
    """ModelError for a model in the place of a library, where it is of a kind that can't be compiled either."""
    with suppress(OSError):
        with open_file(path, most_bytes=1 << 62) as file:
            is_elf = file.read(len(_ELF)) == _ELF
        if not is_elf:
            refuse_other_model(path)


def load_compiler(*, for_model: Path) -> ModuleType:
    """Import PyTorch, TVM and what builds on them, which takes seconds.

    Raises
    ------
    ModelError
        There is no such model file, or it is of another kind: better said before the wait.
    UserError
        They are not installed.
    """
    if not for_model.is_file():
        raise ModelError(f"{for_model}: no such file; expected a .pt2 written by torch.export.save, or an ONNX file")
    refuse_other_model(for_model)
    try:
        with few_collections():
            import sparsecc.compiled
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    return sparsecc.compiled
