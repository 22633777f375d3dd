"""Whether a field of a target, or of its core, has a value that it can have."""

from __future__ import annotations

from collections.abc import Mapping

from sparsecc.errors import TargetError
from sparsecc.untrusted import shown

#: smaller numbers than this, but zero, are no facts of a processor: only quotients are taken of them
_LEAST_NUMBER = 1e-6
_EXPECTED = {
    "str": "a text",
    "bool": "true or false",
    "int": "a whole number above zero",
    "float": "a number above zero",
    "tuple[str, ...]": "a list of texts",
    "Mapping[str, object]": "what TVM is told of LLVM's target, with 'mtriple'",
}


def check_field(where: str, name: str, kind: str, value: object, *, may_be_zero: bool = False) -> None:
    """Whether a value is of a type; numbers above zero, but for those that may be nothing.

    Parameters
    ----------
    where, name : str
        What has the field, and the field, for the message.
    kind : str
        The field's type, as it is written.
    value : object
    may_be_zero : bool

    Raises
    ------
    TargetError
        It is not.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    positive = number and (0 < value < float("inf") or (may_be_zero and value == 0))  # type: ignore[operator]
    good = {
        "str": isinstance(value, str),
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and positive,
        "float": positive,
        "tuple[str, ...]": isinstance(value, tuple) and all(isinstance(part, str) for part in value),
        "Mapping[str, object]": isinstance(value, Mapping) and "mtriple" in value,
    }[kind]
    if not good:
        expected = _EXPECTED[kind].replace("above zero", "from zero on") if may_be_zero else _EXPECTED[kind]
        raise TargetError(f"{where}: {name}: found {shown(value)}, expected {expected}")


def check_range(where: str, value: object, *, most: float) -> None:
    """Whether a number, if it is one, is one that a processor may have.

    Raises
    ------
    TargetError
        It is not.
    """
    if isinstance(value, int | float) and (value > most or 0 < value < _LEAST_NUMBER):
        raise TargetError(f"{where}: found {shown(value)}, expected {_LEAST_NUMBER:g} to {most:g}")
