"""The compiler, imported only when a command needs it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from sparsecc.errors import ModelError, UserError

_NEEDED = ("torch", "tvm", "tvm_ffi")


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
        package = (error.name or "").partition(".")[0]
        if package not in _NEEDED:
            raise
        raise UserError(
            f"reading a model needs the package {package}, which is not installed; pip install 'sparsecc[compiler]'"
        ) from error
    return sparsecc.compiled
