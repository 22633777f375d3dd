"""Inputs and outputs of a library as its description lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Port:
    """One input or output: contiguous, row-major.

    Attributes
    ----------
    name : str
        The network's name for it.
    shape : tuple of int
        Sizes of its dimensions.
    dtype : str
        NumPy's name of the element type.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


def ports(entries: list[dict[str, Any]]) -> tuple[Port, ...]:
    """Ports from a description's ``inputs`` or ``outputs``."""
    return tuple(Port(str(e["name"]), tuple(int(n) for n in e["shape"]), str(e["dtype"])) for e in entries)
