"""What this machine is to sparsecc: system, target, threads, programs, what is kept, and its speed."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sparsecc
from sparsecc.cli.machine import cpu_name
from sparsecc.errors import SparseccError, TargetError, ToolchainError
from sparsecc.pytorch.kept import kept_folder, most_bytes
from sparsecc.target import Target, resolve
from sparsecc.target.native.calibrate import core_here, figures_known
from sparsecc.target.native.cpu import cache_bytes
from sparsecc.target.native.keep import folder
from sparsecc.target.native.measure import measure_peak
from sparsecc.target.native.threads import threads_here
from sparsecc.text import in_bytes

Progress = Callable[[str], None]


def system() -> dict[str, Any]:
    """Versions of sparsecc, Python and what they run on."""
    libc = " ".join(filter(None, platform.libc_ver())) or "an unknown libc"
    return {
        "version": sparsecc.__version__,
        "folder": str(Path(sparsecc.__file__).parent),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}, {libc}",
    }


def machine(*, measure: bool, progress: Progress) -> dict[str, Any]:
    """``machine``: what is shown, by its name; ``peak_flops``, of one core, or None; ``troubles``: what to mend."""
    troubles: list[str] = []
    target = _or_trouble(lambda: resolve("native"), troubles)
    facts = {"processor": f"{cpu_name()}, {_caches()}", "native": "none of the targets"}
    if target is not None:
        facts["native"] = f"{target.name} ({' '.join(target.cpu_features)})"
        facts["cost model"] = _cost_model(target)
    progress("count")
    try:
        threads = threads_here()
        facts["threads"] = f"{threads.threads}: {threads.reason}"
    except (ToolchainError, TargetError) as error:
        threads, facts["threads"] = None, f"not known: {error}"
    emulators = [name for name in ("qemu-aarch64", "qemu-arm") if shutil.which(name)]
    facts["emulators"] = ", ".join(emulators) or "none (qemu-user has qemu-aarch64 and qemu-arm)"
    variables = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("SPARSECC_")]
    facts["environment"] = ", ".join(variables) or "no SPARSECC_ variables"
    facts["kept figures"] = _kept(folder(), "*.json")
    libraries = kept_folder()
    most = _or_trouble(most_bytes, troubles)
    kept = "none: SPARSECC_CACHE=off" if libraries is None else _kept(libraries, "*.so")
    facts["kept libraries"] = kept + (f", {in_bytes(most)} at most" if libraries and most else "")
    peak = _peak(target, facts, progress) if measure and target is not None else None
    return {
        "machine": facts,
        "threads": None if threads is None else asdict(threads),
        "peak_flops": peak,
        "troubles": troubles,
    }


def _or_trouble(ask: Callable[[], Any], troubles: list[str]) -> Any:
    try:
        return ask()
    except SparseccError as error:
        troubles.append(str(error))
        return None


def _cost_model(target: Target) -> str:
    core, fitted = core_here(target)
    figures = figures_known(target)[1] or "to be measured by the first compilation"
    return f"{core.name}, {'fitted on this machine' if fitted else core.source}; figures {figures}"


def _caches() -> str:
    sizes = [in_bytes(size) for _, size in sorted(cache_bytes().items())]
    return "caches of " + ", ".join(sizes) if sizes else "caches unknown"


def _kept(place: Path, pattern: str) -> str:
    try:
        sizes = [path.stat().st_size for path in place.glob(pattern)]
    except OSError as error:
        return f"{place}: {error.strerror}"
    count = f"{len(sizes)} file{'' if len(sizes) == 1 else 's'}, {in_bytes(sum(sizes))}" if sizes else "nothing"
    writable = os.access(place if place.exists() else _first_that_exists(place), os.W_OK)
    return f"{count} in {place}{'' if writable else ', which can not be written'}"


def _first_that_exists(place: Path) -> Path:
    return next(parent for parent in place.parents if parent.exists())


def _peak(target: Target, facts: dict[str, str], progress: Progress) -> float | None:
    progress("measure")
    try:
        peak = measure_peak(target)
    except (ToolchainError, TargetError) as error:
        facts["peak"] = f"not measured: {error}"
        return None
    facts["peak"] = f"{peak / 1e9:.0f} GFLOP/s of float32 multiply-adds on one core, measured just now"
    return peak
