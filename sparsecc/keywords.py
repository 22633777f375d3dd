"""Calls with an argument that a function does not have: an error that says which one was meant."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sparsecc.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")

_BATCH = (
    "the batch size is the first number of the inputs' shapes: example_inputs=(torch.randn(8, 3, 224, 224),), and of "
    "an ONNX file shapes={'images': (8, 3, 224, 224)}"
)
#: what other tools call it -> what to write here
_OTHERS = {
    "batch": _BATCH,
    "batch_size": _BATCH,
    "max_batch_size": _BATCH,
    "inputs": "expected example_inputs=(x,)",
    "args": "expected example_inputs=(x,)",
    "sample_inputs": "expected example_inputs=(x,)",
    "input_shape": "expected example_inputs=(torch.randn(1, 3, 224, 224),), and of an ONNX file shapes=",
    "input_shapes": "expected example_inputs=(torch.randn(1, 3, 224, 224),), and of an ONNX file shapes=",
    "device": "expected target='native', or one that 'sparsecc targets' lists",
    "num_threads": "expected threads=",
}


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose calls with arguments that it lacks raise UserError with what to write instead."""
    parameters = inspect.signature(function).parameters
    by_place = [name for name, found in parameters.items() if found.kind is found.POSITIONAL_OR_KEYWORD]

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if unknown := next((name for name in kwargs if name not in parameters), None):
            raise UserError(f"{function.__name__}: there is no {unknown}=; {_advice(unknown, list(parameters))}")
        if len(args) > len(by_place):
            others = ", ".join(f"{name}=" for name in parameters if name not in by_place)
            raise UserError(
                f"{function.__name__}: found {len(args)} arguments without a name, expected at most {len(by_place)} "
                f"({', '.join(by_place)}); name the others: {others}"
            )
        return function(*args, **kwargs)

    return call


def _advice(unknown: str, known: list[str]) -> str:
    if _OTHERS.get(unknown) == _BATCH and "batch" in known:
        return "expected batch="
    if unknown in _OTHERS:
        return _OTHERS[unknown]
    if near := difflib.get_close_matches(unknown, known, n=1):
        return f"expected {near[0]}="
    return f"expected one of {', '.join(f'{name}=' for name in known)}"
