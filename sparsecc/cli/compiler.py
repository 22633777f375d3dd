"""The compiler, imported only when a command needs it."""

from __future__ import annotations

from types import ModuleType

from sparsecc.errors import UserError

_NEEDED = ("torch", "tvm", "tvm_ffi")


def load_compiler() -> ModuleType:
    """Import PyTorch, TVM and what builds on them, which takes seconds.

    Raises
    ------
    UserError
        They are not installed.
    """
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
