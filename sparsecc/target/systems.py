"""The C library of the system that a library runs on: glibc, unless a target's name ends with another one."""

from __future__ import annotations

import re
from dataclasses import replace

from sparsecc.errors import TargetError
from sparsecc.target.model import Target

_NAME = re.compile(r"(?P<base>.+)-(?P<system>musl|android(?P<level>\d{1,3})?)")
#: Android's API levels: the oldest that the NDK's compilers know, and more than there will be for long
_LEAST_LEVEL, _MOST_LEVEL = 21, 99


def split_system(name: str) -> tuple[str, str]:
    """A target's name without its system, and the system: ``"musl"``, ``"android24"`` or nothing."""
    found = _NAME.fullmatch(name)
    return (found["base"], found["system"]) if found else (name, "")


def for_system(target: Target, system: str) -> Target:
    """The same processor with another C library.

    Parameters
    ----------
    target : Target
        With glibc.
    system : str
        ``"musl"``, or ``"android"`` with an API level.

    Raises
    ------
    TargetError
        There are no libraries of such a kind: an API level that the NDK does not have, or a processor with 32 bit.
    """
    name = f"{target.name}-{system}"
    machine = target.triple.split("-")[0]
    if system == "musl":
        return replace(target, name=name, triple=f"{machine}-linux-musl{'eabihf' if machine == 'armv7l' else ''}")
    if machine not in ("aarch64", "x86_64"):
        raise TargetError(f"target {name!r}: found a processor with 32 bit, expected one with 64 bit for Android")
    level = system.removeprefix("android")
    if not level or not _LEAST_LEVEL <= int(level) <= _MOST_LEVEL:
        found = f"API level {level}" if level else "no API level"
        raise TargetError(
            f"target {name!r}: found {found}, expected one from {_LEAST_LEVEL} to {_MOST_LEVEL}: "
            f"{target.name}-android{_LEAST_LEVEL} runs on all of them"
        )
    triple = f"{machine}-linux-android{level}"
    # not the triple of another system: code for Android leaves a register to the system (x18)
    llvm = {**target.llvm, "mtriple": f"{machine}-unknown-linux-android{level}"}
    return replace(target, name=name, triple=triple, llvm=llvm)
