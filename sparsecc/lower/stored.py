"""Configs as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sparsecc.kernels.config import Config
from sparsecc.lower.config import AlgorithmConfig, JoinConfig
from sparsecc.lower.table import KERNELS

#: what records call a kernel -> how its config is read
_READERS: dict[str, Callable[[Mapping[str, Any]], Config]] = {
    name: read for kernel in KERNELS.values() if kernel.knobs for name, read in kernel.knobs.stored.items()
} | {"join": JoinConfig.read, "algorithm": AlgorithmConfig.read}


def to_json(config: Config) -> dict[str, Any]:
    """Return JSON-ready data that :func:`from_json` reads."""
    return {"kernel": config.name, **config.knobs()}


def from_json(data: Mapping[str, Any]) -> Config:
    """Rebuild what :func:`to_json` returned; knobs that it lacks have their defaults.

    Raises
    ------
    KeyError, TypeError, ValueError
        The kernel or a knob is unknown, missing, or not a number.
    """
    kernel = data["kernel"]
    if kernel not in _READERS:
        *known, last = _READERS
        raise ValueError(f"kernel: found {kernel!r}, expected {', '.join(known)} or {last}")
    return _READERS[kernel]({name: value for name, value in data.items() if name != "kernel"})
