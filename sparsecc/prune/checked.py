"""Checks of the values that users give to pruners: each returns the value in its plain form, or says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from sparsecc.errors import UserError
from sparsecc.untrusted.numbers import as_float, as_int


def checked_rate(value: float, *, where: str) -> float:
    """Return a share of pruned blocks, at least 0 and below 1, as a float.

    Raises
    ------
    UserError
        It is outside of that, or no number.
    """
    rate = as_float(value)
    if rate is None or not 0.0 <= rate < 1.0:
        raise UserError(f"{where}: found {value!r}, expected a share of 0 or more and below 1, such as 0.5")
    return rate


def checked_number(value: float, *, where: str, least: float = -math.inf, above: float = -math.inf) -> float:
    """Return a finite number, at least ``least`` and more than ``above``, as a float.

    Raises
    ------
    UserError
        It is outside of that, or no number.
    """
    number = as_float(value)
    if number is None or not math.isfinite(number) or number < least or number <= above:
        bound = f" of {least:g} or more" if least > -math.inf else f" above {above:g}" if above > -math.inf else ""
        raise UserError(f"{where}: found {value!r}, expected a finite number{bound}")
    return number


def checked_flag(value: bool, *, where: str) -> bool:
    """Return True or False.

    Raises
    ------
    UserError
        It is something else, such as the text ``"False"``, which Python takes for true.
    """
    if type(value).__name__ not in ("bool", "bool_"):  # NumPy's too
        raise UserError(f"{where}: found {value!r}, expected True or False")
    return bool(value)


def checked_names(value: Collection[str] | None, *, where: str) -> tuple[str, ...] | None:
    """Return names or patterns as a tuple; None stays None.

    Raises
    ------
    UserError
        It is a single text, which would be taken for a list of letters, or holds something else than text.
    """
    if value is None:
        return None
    if isinstance(value, str):
        raise UserError(f"{where}: found the text {value!r}, expected a list of names: [{value!r}]")
    names = tuple(value) if isinstance(value, Iterable) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise UserError(f"{where}: found {value!r}, expected a list of names or patterns, such as ['layer3.*']")
    return names


def checked_rates(value: Mapping[str, float] | None, *, where: str) -> dict[str, float]:
    """Return rates by name or pattern; none for None.

    Raises
    ------
    UserError
        It is no mapping from text to shares of 0 or more and below 1.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise UserError(f"{where}: rates: found {value!r}, expected a mapping such as {{'layer3.*': 0.5}}")
    return {name: checked_rate(rate, where=f"{where}: rate of {name!r}") for name, rate in value.items()}


def checked_choice(value: str, known: Collection[str], *, where: str) -> str:
    """Return ``value`` when it is one of the known words.

    Raises
    ------
    UserError
        It is not.
    """
    if not isinstance(value, str) or value not in known:
        raise UserError(f"{where}: found {value!r}, expected one of {', '.join(map(repr, known))}")
    return value


def checked_count(value: int, *, where: str, least: int = 1) -> int:
    """Return a whole number that is at least ``least``.

    Raises
    ------
    UserError
        It is smaller, or no whole number.
    """
    count = as_int(value)
    if count is None or count < least:
        raise UserError(f"{where}: found {value!r}, expected a whole number of {least} or more")
    return count
