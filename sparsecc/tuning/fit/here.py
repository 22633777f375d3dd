"""``native`` for whoever compiles: with this machine's figures, and its core fitted if time is granted for that."""

from __future__ import annotations

import os
from collections.abc import Callable

from sparsecc.errors import ToolchainError, UserError
from sparsecc.target import Target
from sparsecc.target.native.calibrate import is_known, resolve_here
from sparsecc.target.native.constants import VARIABLE, keep_constants
from sparsecc.target.native.cpu import processor
from sparsecc.tuning.fit.fit import Fit, fit

_MOST_S = 3600.0


Progress = Callable[[str], None]


def resolve_fitted(
    target: str | Target, *, cc: str | None = None, progress: Progress | None = None
) -> tuple[Target, str]:
    """As :func:`~sparsecc.target.native.calibrate.resolve_here`; a core that we don't know is fitted first.

    That takes the time that was granted. A fit that fails leaves the target's own core, and the source says so.

    Raises
    ------
    TargetError
        As :func:`~sparsecc.target.resolve` does.
    UserError
        The granted time is no number of seconds.
    """
    resolved, source = resolve_here(target, cc=cc)
    seconds = granted_seconds()
    if target != "native" or not seconds or is_known(resolved):
        return resolved, source
    try:
        fit_here(resolved, seconds=seconds, cc=cc, progress=progress)
    except ToolchainError as error:
        return resolved, f"{source}; core {resolved.core_model.name} ({error})"
    return resolve_here(target, cc=cc)


def fit_here(target: Target, *, seconds: float, cc: str | None = None, progress: Progress | None = None) -> Fit:
    """Fit this machine's core and keep the constants.

    Raises
    ------
    ToolchainError
        As :func:`~sparsecc.tuning.fit.fit.fit`.
    """
    found = fit(target, seconds=seconds, cc=cc, progress=progress)
    keep_constants(found.constants, target, processor())
    return found


def granted_seconds() -> float:
    """What the environment grants; 0 for nothing.

    Raises
    ------
    UserError
        It is no number of seconds up to an hour.
    """
    text = os.environ.get(VARIABLE, "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MOST_S:
        raise UserError(f"{VARIABLE}: found {text!r}, expected seconds from 0 to {_MOST_S:g}, such as 60")
    return seconds
