"""The compiler, imported only when a command needs it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from sparsecc.errors import ModelError, missing_package


def load_compiler(*, for_model: Path) -> ModuleType:
    """Import PyTorch, TVM and what builds on them, which takes seconds.

    Raises
    ------
    ModelError
        There is no such model file: better said before the wait.
    UserError
        They are not installed.
    """
    if not for_model.is_file():
        raise ModelError(f"{for_model}: no such file; expected a .pt2 written by torch.export.save")
    try:
        import sparsecc.compiled
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    return sparsecc.compiled
