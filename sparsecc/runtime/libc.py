"""Which C library a triple means, and which this machine has."""

from __future__ import annotations

import sys
import sysconfig


def system_of(triple: str) -> str:
    """The system of a triple: ``"gnu"``, ``"musl"`` or ``"android"``."""
    return next((name for name in ("musl", "android") if name in triple), "gnu")


def system_here() -> str:
    """The system that this Python runs on, Android's with its API level: ``"android24"``."""
    if hasattr(sys, "getandroidapilevel"):
        return f"android{sys.getandroidapilevel()}"
    return "musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else "gnu"
