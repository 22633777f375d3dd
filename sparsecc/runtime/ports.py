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
    layout : str
        ``"nhwc"`` where images have their channels last though the network has them second; else empty.
    scale : float or None
        Of 8-bit codes in the place of float32: a code ``q`` stands for ``scale * (q - zero_point)``.
    zero_point : int or None
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str = ""
    scale: float | None = None
    zero_point: int | None = None


def ports(entries: list[dict[str, Any]]) -> tuple[Port, ...]:
    """Ports from a description's ``inputs`` or ``outputs``."""
    return tuple(
        Port(
            str(e["name"]), tuple(int(n) for n in e["shape"]), str(e["dtype"]), e.get("layout", ""), e.get("scale"),
            e.get("zero_point"),
        )
        for e in entries
    )  # fmt: skip
