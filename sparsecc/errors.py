"""The errors of sparsecc: three kinds, told apart by who has to act.

* :class:`UserError` and its children: the caller's mistake; the message says what to change.
* :class:`NotSupportedError`: a valid request that sparsecc can't serve yet; the message names operator and layer.
* :class:`InternalError` and its children: our bug; the message says what to report.

A message answers four questions: where, what was found, what was expected, what to do.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from sparsecc.text import printable


class SparseccError(Exception):
    """Base of everything that sparsecc raises on purpose."""

    #: exit code of the command line for this kind
    exit_code = 1


class UserError(SparseccError):
    """The caller's mistake: a wrong argument, file or input."""

    exit_code = 2


class ModelError(UserError):
    """The model or model file can't be used as it is."""


class InputError(UserError):
    """An input or output array does not fit the library it is given to."""


class TargetError(UserError):
    """The target is unknown or malformed."""


class ToolchainError(UserError):
    """The C compiler or linker is missing or failed because of its environment."""


class RunnerError(UserError):
    """The device that a tuner measures on can't be reached, or runs nothing."""


class OutputError(UserError):
    """A result can't be written: read-only folder, full disk, missing parent."""


class LibraryError(UserError):
    """A file is not a library of ours, is damaged, or is for another processor."""


class GradientWarning(UserWarning):
    """A compiled network was called with a tensor that requires a gradient: its result has none."""


class FallbackWarning(UserWarning):
    """PyTorch runs a graph of ``torch.compile`` that a library was asked for; the message says why."""


class NotSupportedError(SparseccError):
    """A valid request that is outside what sparsecc does."""

    exit_code = 3


class InternalError(SparseccError):
    """Our bug: please report it with the message."""

    exit_code = 4


class VerificationError(InternalError):
    """The compiled library and PyTorch disagree by more than the tolerance."""


#: what tells of the machine, or of a package that is missing: nobody's bug
_ENVIRONMENT = (OSError, MemoryError, ImportError)


@contextmanager
def unforeseen(where: str) -> Iterator[None]:
    """Turn an exception that nobody foresaw into an :class:`InternalError` that says ``where``.

    Errors of sparsecc pass, and so do interrupts and those of the environment: files, memory, missing packages.

    Parameters
    ----------
    where : str
        The stage, or the layer and its operator.

    Raises
    ------
    InternalError
        In the place of an ``IndexError``, a ``KeyError``, an error of TVM's, and the like, which is its cause.
    """
    try:
        yield
    except (SparseccError, *_ENVIRONMENT):
        raise
    except Exception as error:
        said = first_line(error)
        found = type(error).__name__ if said == type(error).__name__ else f"{type(error).__name__}: {said}"
        raise InternalError(f"{where}: unexpected {found}; please report it with the model") from error


def first_line(error: BaseException) -> str:
    """What an error of another package says, short enough to be quoted."""
    text = str(error).strip()
    return printable(textwrap.shorten(text.splitlines()[0], 200)) if text else type(error).__name__


#: packages of the compiler that a machine which only runs libraries does not need
_COMPILER_PACKAGES = ("torch", "tvm", "tvm_ffi")
#: those that only a tuner needs
_TUNER_PACKAGES = ("xgboost", "scipy", "tornado", "cloudpickle", "psutil")

#: those that only quantizing needs
_QUANTIZING_PACKAGES = ("torchao",)
#: those that only reading ONNX files needs
_ONNX_PACKAGES = ("onnx", "google")


def missing_package(error: ModuleNotFoundError) -> Exception:
    """What to raise when an import failed: a :class:`UserError` that says how to install a package of the compiler."""
    package = (error.name or "").partition(".")[0]
    if package in _TUNER_PACKAGES:
        return UserError(
            f"tuning needs the package {package}, which is not installed; in sparsecc's folder: "
            "pip install '.[compiler,tune]'"
        )
    if package in _QUANTIZING_PACKAGES:
        return UserError(
            f"quantizing needs the package {package}, which is not installed; in sparsecc's folder: "
            "pip install '.[compiler,quantize]'"
        )
    if package in _ONNX_PACKAGES:
        return UserError(
            f"ONNX files need the package {package}, which is not installed; in sparsecc's folder: "
            "pip install '.[compiler,onnx]'"
        )
    if package not in _COMPILER_PACKAGES:
        return error
    return UserError(
        f"the compiler needs the package {package}, which is not installed; in sparsecc's folder: "
        "pip install '.[compiler]'"
    )
