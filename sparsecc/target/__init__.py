"""The processors that code can be made for, as plain data."""

from __future__ import annotations

import difflib
import os
import platform
from dataclasses import replace
from pathlib import Path

from sparsecc.errors import TargetError
from sparsecc.runtime.libc import system_here
from sparsecc.target.arm import ARM
from sparsecc.target.core import Core
from sparsecc.target.cores import CORES
from sparsecc.target.given import SUFFIX, read_target
from sparsecc.target.model import HALF_FEATURE, Target, has_features
from sparsecc.target.systems import for_system, split_system
from sparsecc.target.x86 import X86

__all__ = ["CORES", "TARGETS", "Core", "Target", "check_dtype", "resolve"]

#: by name, those of one architecture from the most general to the best
TARGETS: dict[str, Target] = {**X86, **ARM}
#: a target with the instructions that multiply 8-bit integers -> without them, and LLVM's name of the feature
WITH_CODES = {
    "x86-64-v3+vnni": ("x86-64-v3", "avxvnni"),
    "x86-64-v4+vnni": ("x86-64-v4", "avx512vnni"),
    "aarch64+dotprod": ("aarch64", "dotprod"),
}
_MACHINES = ("x86_64", "aarch64", "armv7l")


def resolve(target: str | os.PathLike[str] | Target) -> Target:
    """Turn a name into a :class:`Target`; ``"native"`` is the best one this machine can run.

    A name that ends with ``-musl`` or ``-android`` and an API level means libraries for a system with that C library:
    ``"rpi4-musl"``, ``"cortex-a78-android24"``. What ends with ``.json`` is a file with a target of the user's own: see
    :func:`~sparsecc.target.given.read_target`.

    Raises
    ------
    TargetError
        For an unknown name (the nearest ones are offered), a system that the processor has no libraries for, a file
        that is no target, or when this machine is none of ours.
    """
    if isinstance(target, Target):
        return target
    if target == "native":
        return _native()
    if isinstance(target, str) and target in TARGETS:
        return TARGETS[target]
    if isinstance(target, str) and target in WITH_CODES:
        base, feature = WITH_CODES[target]
        return replace(TARGETS[base], codes=feature)
    if isinstance(target, str | os.PathLike) and str(target).endswith(SUFFIX):
        return read_target(Path(target), TARGETS)
    base, system = split_system(target) if isinstance(target, str) else ("", "")
    if system and (base in TARGETS or base in WITH_CODES):
        return for_system(resolve(base), system)
    near = difflib.get_close_matches(str(target), [*TARGETS, "native"], n=3, cutoff=0.3) or [*TARGETS, "native"]
    raise TargetError(
        f"target: found {target!r}, expected one of {', '.join([*TARGETS, 'native'])}, or a file of facts (.json); "
        f"nearest: {near[0]!r}"
    )


def check_dtype(target: Target, dtype: str) -> None:
    """Refuse half precision for a target that does not compute in it.

    Raises
    ------
    TargetError
        Names the targets that do.
    """
    if dtype == "float32" or target.has_half:
        return
    able = ", ".join(name for name, other in TARGETS.items() if other.has_half)
    raise TargetError(
        f"target {target.name}: found no arithmetic in half precision ({HALF_FEATURE} among cpu_features), expected it "
        f"for dtype={dtype!r} (--fp16); use one of {able}, or leave out the dtype"
    )


def _native() -> Target:
    machine = platform.machine()
    if machine not in _MACHINES:
        expected = ", ".join(_MACHINES)
        raise TargetError(f"target 'native': this machine is {machine!r}, expected {expected}; name a target instead")
    # of the general targets: boards' processors can't be told apart by their features
    best = [target for target in TARGETS.values() if target.has_processor() and not target.source]
    if not best:
        raise TargetError(
            "target 'native': this processor lacks AVX2 and FMA, which x86-64-v3 needs; name a target instead"
        )
    codes = [feature for base, feature in WITH_CODES.values() if base == best[-1].name and has_features((feature,))]
    here = replace(best[-1], codes=codes[0] if codes else "")
    return here if system_here() == "gnu" else for_system(here, system_here())
