"""What all configs have in common."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

_Knobs = TypeVar("_Knobs", bound="Config")


class Config:
    """Values of a kernel's knobs; a frozen dataclass."""

    @property
    def name(self) -> str:
        """What records call the kernel."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """The kernel, or what was decided, for people."""
        return self.name

    @property
    def packing(self) -> Hashable:
        """Of two configs with equal ones a layer's weights lie in the same order, where the layouts are the same."""
        return ()

    def knobs(self) -> dict[str, Any]:
        """Return the values by name, JSON-ready."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]  # subclasses are dataclasses

    @classmethod
    def read(cls: type[_Knobs], knobs: Mapping[str, Any]) -> _Knobs:
        """Rebuild a config of numbers and truth values from :meth:`knobs`; what is missing has its default.

        Raises
        ------
        KeyError, TypeError, ValueError
            A knob is unknown, missing, or not a number.
        """
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]  # as above
        unknown = sorted(set(knobs) - known)
        if unknown:
            raise ValueError(f"{cls.__name__}: found unknown knobs {', '.join(unknown)}")
        made: dict[str, Any] = {n: value if isinstance(value, bool) else count(value) for n, value in knobs.items()}
        return cls(**made)


def text(value: Any) -> str:
    """The value, if it is a text.

    Raises
    ------
    TypeError
        It is not.
    """
    if not isinstance(value, str):
        raise TypeError(f"found {value!r}, expected a text")
    return value


def truth(value: Any) -> bool:
    """The value, if it is true or false.

    Raises
    ------
    TypeError
        It is not.
    """
    if not isinstance(value, bool):
        raise TypeError(f"found {value!r}, expected true or false")
    return value


def count(value: Any) -> int:
    """The value, if it is a number of things.

    Raises
    ------
    TypeError
        It is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"found {value!r}, expected a number of things")
    return value
