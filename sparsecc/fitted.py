"""``native`` for whoever compiles: the code of the search is loaded only where time is granted for a fit."""

from __future__ import annotations

import os
from collections.abc import Callable

from sparsecc.target import Target
from sparsecc.target.native.calibrate import resolve_here
from sparsecc.target.native.constants import VARIABLE


def resolve_fitted(
    target: str | Target, *, cc: str | None = None, progress: Callable[[str], None] | None = None
) -> tuple[Target, str]:
    """As :func:`~sparsecc.tuning.fit.here.resolve_fitted`, parameters, result and errors."""
    if VARIABLE not in os.environ:
        return resolve_here(target, cc=cc)
    from sparsecc.tuning.fit import here

    return here.resolve_fitted(target, cc=cc, progress=progress)
