"""The compiler, imported only when a command needs it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import ModuleType

from sparsecc.errors import ModelError, missing_package
from sparsecc.untrusted import other_model


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
    with suppress(OSError):  # who reads the model says why it can't be read
        if found := other_model(for_model):
            raise ModelError(f"{for_model}: {found}")
    try:
        import sparsecc.compiled
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    return sparsecc.compiled
