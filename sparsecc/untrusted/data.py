"""JSON that may be anything: bounded depth, finite numbers, integers of 64 bits, every name once."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections import Counter
from typing import Any

#: lists and objects within each other; what a network returns may be 32 containers deep, of three levels each
_MOST_DEPTH = 128
_INT64 = range(-(1 << 63), 1 << 63)
# the last quote may be missing: so it matches at every first one, and takes time in proportion
_TEXTS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
#: what a number that is too large for a float has: an exponent of three digits, or hundreds of digits before the point
_LARGE = re.compile(r"\d[eE]\+?\d{3}|\d{200}")
_BRACKETS = re.compile(r"[\[\]{}]")


class MalformedError(ValueError):
    """Data that is not what it should be; the message says what was found, not where: the caller knows the file."""


def parse_json(text: bytes | str) -> Any:
    """JSON as Python's data.

    Raises
    ------
    MalformedError
        No JSON, not UTF-8, nested too deeply, a name twice in an object, a number that is NaN, infinite or an integer
        beyond 64 bits. Texts may have halves of surrogate pairs, as names in a model may.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        _check_depth(text)
        value = json.loads(text, parse_int=_int, object_pairs_hook=_object)
        if "nfinity" in text or "NaN" in text or _LARGE.search(text):
            _check_finite(value, where="")
    except UnicodeError as error:
        raise MalformedError(f"no text in UTF-8 ({error})") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON ({error.msg}: line {error.lineno} column {error.colno})") from error
    except RecursionError as error:  # the caller's stack is nearly full
        raise MalformedError("lists within lists, too deep for the rest of the stack") from error
    return value


def shown(value: object) -> str:
    """A value for a message: never long, never on several lines."""
    return _repr.repr(value)


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 60
_repr.maxlist = _repr.maxdict = _repr.maxtuple = 6
_repr.maxlevel = 3


def _check_depth(text: str) -> None:
    """Before it is parsed, for what parses and prints it calls itself at every level."""
    if text.count("[") + text.count("{") <= _MOST_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_TEXTS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > _MOST_DEPTH:
            raise MalformedError(f"lists and objects more than {_MOST_DEPTH} deep in each other")


def _int(digits: str) -> int:
    # the length first: to read a long number takes its square of time
    if len(digits) > 20 or int(digits) not in _INT64:
        raise MalformedError(f"the integer {shown(digits)} has more than 64 bits")
    return int(digits)


def _check_finite(value: Any, *, where: str) -> None:
    """NaN and infinity, which Python reads but JSON does not know, and what is too large for a float."""
    if isinstance(value, float) and not math.isfinite(value):
        raise MalformedError(f"{where.lstrip('.')}{': ' if where else ''}found {value}, expected a finite number")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_finite(member, where=f"{where}.{name[:60]}")
    if isinstance(value, list):
        for i, member in enumerate(value):
            _check_finite(member, where=f"{where}[{i}]")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) != len(members):
        [(twice, _)] = Counter(name for name, _ in members).most_common(1)
        raise MalformedError(f"the name {shown(twice)} is there twice in an object")
    return made
