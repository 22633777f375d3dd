"""Figures of this machine: measured once and kept, or shipped.

They decide which kernels and configs are chosen, never what is computed. Only ``native`` asks for them: a library for a
named target is the same whichever machine compiles it.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from sparsecc.errors import ToolchainError
from sparsecc.target import Core, Target, resolve
from sparsecc.target.native.constants import kept_constants
from sparsecc.target.native.cpu import processor
from sparsecc.target.native.figures import Figures
from sparsecc.target.native.keep import folder, keep, read_kept
from sparsecc.target.native.known import KNOWN, UNKNOWN
from sparsecc.target.native.measure import measure, measure_clock

#: no core runs faster: what says so was not measured
_MOST_GHZ = 10.0


def resolve_here(target: str | Target, *, cc: str | None = None) -> tuple[Target, str]:
    """The target, ``native`` with this machine's figures; and where those are from, else nothing.

    Raises
    ------
    TargetError
        As :func:`~sparsecc.target.resolve` does.
    """
    resolved = resolve(target)
    if target != "native":
        return resolved, ""
    figures, source = figures_here(resolved, cc=cc)
    core, fitted = core_here(resolved)
    resolved = replace(resolved, core_model=core)
    if fitted:
        source += "; core fitted to timings here"
    return (resolved if figures is None else figures.applied_to(resolved)), source


def core_here(target: Target) -> tuple[Core, bool]:
    """The core of this machine, and whether it was fitted here; else it is our processor's, or the target's own."""
    cpu = processor()
    constants = kept_constants(target, cpu)
    core = KNOWN.get(cpu or "", UNKNOWN).cores.get(target.name, target.core_model)
    return (core, False) if constants is None else (constants.applied_to(core), True)


def is_known(target: Target) -> bool:
    """Whether this machine's core is one that we know, or has been fitted."""
    cpu = processor()
    return target.name in KNOWN.get(cpu or "", UNKNOWN).cores or kept_constants(target, cpu) is not None


def figures_here(target: Target, *, cc: str | None = None) -> tuple[Figures | None, str]:
    """Figures of this machine for a target, and where they are from.

    What was measured here comes first, then what is shipped; else it is measured and kept. None when that fails: then
    the target's own figures serve, and the source says so.
    """
    known, source = figures_known(target)
    if known is not None:
        return known, source
    try:
        return calibrate(target, cc=cc), "measured on this machine"
    except ToolchainError as error:
        return None, f"typical of {target.name}; {error}"


def figures_known(target: Target) -> tuple[Figures | None, str]:
    """The same of what need not be measured: None where nobody has measured yet, with nothing."""
    cpu = processor()
    kept = _load(target, cpu)
    if kept is not None:
        return kept, "measured on this machine"
    known = KNOWN.get(cpu or "", UNKNOWN)
    if target.name in known.figures:
        return known.figures[target.name], f"shipped for {known.name}"
    return None, ""


def calibrate(target: Target, *, cc: str | None = None) -> Figures:
    """Measure this machine's figures and keep them; a folder that can't be written only means measuring again."""
    figures = measure(target, cc=cc)
    keep(cache_file(target, processor()), asdict(figures))
    return figures


def clock_here(target: Target, *, cc: str | None = None) -> tuple[float, str]:
    """Clock of this machine in GHz, and where it is from: measured once and kept, else the target's usual one."""
    path = clock_file(processor())
    try:
        kept = read_kept(path)["ghz"]
        if isinstance(kept, int | float) and 0 < kept < _MOST_GHZ:
            return float(kept), "measured on this machine"
    except (OSError, ValueError, TypeError, KeyError):
        pass
    try:
        return keep_clock(target, cc=cc), "measured on this machine"
    except ToolchainError:
        return target.ghz, f"usual for {target.name}"


def keep_clock(target: Target, *, cc: str | None = None) -> float:
    """Measure this machine's clock and keep it; a folder that can't be written only means measuring again."""
    ghz = measure_clock(target, cc=cc)
    keep(clock_file(processor()), {"ghz": ghz})
    return ghz


def clock_file(cpu: str | None) -> Path:
    """Where the clock is kept: beside the figures."""
    return folder() / f"clock-{cpu or 'unknown'}.json"


def cache_file(target: Target, cpu: str | None) -> Path:
    """Where figures are kept: ``$XDG_CACHE_HOME/sparsecc``, else ``~/.cache/sparsecc``."""
    return folder() / f"figures-{cpu or 'unknown'}-{target.name}.json"


def _load(target: Target, cpu: str | None) -> Figures | None:
    """What is kept; None when there is nothing, or nothing of use."""
    try:
        return Figures.from_json(read_kept(cache_file(target, cpu)))
    except (OSError, ValueError, TypeError):
        return None
