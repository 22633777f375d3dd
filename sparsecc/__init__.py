"""sparsecc compiles block-sparse PyTorch CNNs to fast standalone libraries.

>>> lib = sparsecc.compile(model, target="native", example_inputs=(x,))   # doctest: +SKIP
>>> y = lib(x)                                                            # doctest: +SKIP
>>> lib.save("model.so")                                                  # doctest: +SKIP

A process that only runs libraries calls :func:`load`, which needs NumPy and neither torch nor TVM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsecc import errors
from sparsecc.errors import SparseccError
from sparsecc.version import VERSION

if TYPE_CHECKING:
    from sparsecc import prune
    from sparsecc.advice.advise import advise
    from sparsecc.advice.result import Advice
    from sparsecc.analyse.plan import Plan
    from sparsecc.compiled import Compiled, compile
    from sparsecc.forecast import inspect
    from sparsecc.pytorch.backend import sparsecc as backend
    from sparsecc.pytorch.quantized.flow import quantize
    from sparsecc.pytorch.quantized.report import Quantized
    from sparsecc.report import Report
    from sparsecc.runtime import Library, load
    from sparsecc.target import Target
    from sparsecc.tuning.tune import Tuned, tune

__version__ = VERSION

__all__ = [
    "Advice",
    "Compiled",
    "Library",
    "Plan",
    "Quantized",
    "Report",
    "SparseccError",
    "Target",
    "Tuned",
    "advise",
    "backend",
    "compile",
    "errors",
    "inspect",
    "load",
    "prune",
    "quantize",
    "tune",
]

#: public names: imported on first use, as most need torch and TVM, and all of them NumPy
_LAZY = {
    "Advice": "sparsecc.advice.result",
    "advise": "sparsecc.advice.advise",
    "backend": "sparsecc.pytorch.backend",
    "Compiled": "sparsecc.compiled",
    "compile": "sparsecc.compiled",
    "inspect": "sparsecc.forecast",
    "Library": "sparsecc.runtime",
    "load": "sparsecc.runtime",
    "Plan": "sparsecc.analyse.plan",
    "Quantized": "sparsecc.pytorch.quantized.report",
    "quantize": "sparsecc.pytorch.quantized.flow",
    "Report": "sparsecc.report",
    "Target": "sparsecc.target",
    "Tuned": "sparsecc.tuning.tune",
    "tune": "sparsecc.tuning.tune",
}

#: those that are called otherwise where they are
_NAMES = {"backend": "sparsecc"}

#: parts of the package that are used by their own name, imported in the same way
_LAZY_PARTS = frozenset({"prune"})


def __getattr__(name: str) -> Any:
    if name not in _LAZY and name not in _LAZY_PARTS:
        raise AttributeError(f"module 'sparsecc' has no attribute {name!r}")
    from importlib import import_module

    try:
        if name in _LAZY_PARTS:
            return import_module(f"sparsecc.{name}")
        return getattr(import_module(_LAZY[name]), _NAMES.get(name, name))
    except ModuleNotFoundError as error:
        raise errors.missing_package(error) from None  # the message says all that its traceback would


def __dir__() -> list[str]:
    return sorted({name for name in globals() if name.startswith("__")} | set(__all__))
