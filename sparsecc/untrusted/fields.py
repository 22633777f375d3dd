"""Members of objects that were read, each of the type and range that its reader counts on, or ``MalformedError``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from sparsecc.untrusted.data import MalformedError, shown


def check_members(value: Any, *, needed: Iterable[str], known: Iterable[str] | None = None) -> dict[str, Any]:
    """The value, which must be an object with the members in ``needed``, and with ``known`` no others besides."""
    if not isinstance(value, dict):
        raise MalformedError(f"found {shown(value)}, expected an object")
    missing = [name for name in needed if name not in value]
    if missing:
        raise MalformedError(f"{missing[0]!r} is missing")
    unknown = [] if known is None else [name for name in value if name not in {*known, *needed}]
    if unknown:
        raise MalformedError(f"found the unknown {shown(unknown[0])}")
    return value


def text(members: Mapping[str, Any], name: str) -> str:
    """A text."""
    value = _member(members, name)
    if not isinstance(value, str):
        raise _unfit(name, value, "a text")
    return value


def truth(members: Mapping[str, Any], name: str) -> bool:
    """True or false."""
    value = _member(members, name)
    if not isinstance(value, bool):
        raise _unfit(name, value, "true or false")
    return value


def number(members: Mapping[str, Any], name: str, *, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number in a range."""
    value = _member(members, name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise _unfit(name, value, "a number")
    if not least <= value <= most:
        raise _unfit(name, value, f"a number {_range(least, most)}")
    return value


def whole_number(members: Mapping[str, Any], name: str, *, least: float = -math.inf, most: float = math.inf) -> int:
    """An integer in a range."""
    value = number(members, name, least=least, most=most)
    if not isinstance(value, int):
        raise _unfit(name, value, "a whole number")
    return value


def entries(members: Mapping[str, Any], name: str) -> list[Any]:
    """A list of anything."""
    value = _member(members, name)
    if not isinstance(value, list):
        raise _unfit(name, value, "a list")
    return value


def texts(members: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts."""
    values = entries(members, name)
    for value in values:
        if not isinstance(value, str):
            raise _unfit(name, value, "texts")
    return values


def whole_numbers(members: Mapping[str, Any], name: str, *, least: int, most: int) -> list[int]:
    """A list of integers in a range."""
    return [whole_number({name: value}, name, least=least, most=most) for value in entries(members, name)]


def pairs(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object, whatever its members are."""
    value = _member(members, name)
    if not isinstance(value, dict):
        raise _unfit(name, value, "an object")
    return value


def _member(members: Mapping[str, Any], name: str) -> Any:
    if name not in members:
        raise MalformedError(f"{name!r} is missing")
    return members[name]


def _unfit(name: str, value: object, expected: str) -> MalformedError:
    return MalformedError(f"{name}: found {shown(value)}, expected {expected}")


def _range(least: float, most: float) -> str:
    if math.isinf(most):
        return f"from {least:g} on"
    return f"of at most {most:g}" if math.isinf(least) else f"from {least:g} to {most:g}"
