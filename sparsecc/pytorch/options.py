"""What ``torch.compile(..., options={...})`` may say to the backend."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsecc.errors import UserError
from sparsecc.options import Options
from sparsecc.target import Target, resolve

_KNOWN = ("keep_dense", "min_speedup", "winograd", "max_growth", "schedules", "verify", "threads", "cc")


@dataclass(frozen=True)
class BackendOptions:
    """Checked options of the backend, which are those of :func:`sparsecc.compile`.

    Attributes
    ----------
    target : str or Target
        As it was given.
    chosen : dict
        The others that were given.
    """

    target: str | Target = "native"
    chosen: dict[str, Any] = field(default_factory=dict)

    @property
    def threads(self) -> int | None:
        """Of each library."""
        threads: int | None = self.chosen.get("threads")
        return threads

    def facts(self) -> tuple[str, ...]:
        """All that the code of a library depends on besides its graph."""
        told = {name: value for name, value in sorted(self.chosen.items()) if name not in ("cc", "verify")}
        schedules = told.get("schedules")
        if isinstance(schedules, str | os.PathLike) and schedules != "shipped":
            told["schedules"] = hashlib.sha256(Path(schedules).read_bytes()).hexdigest()
        return repr(resolve(self.target)), repr(told)


def backend_options(given: Mapping[str, Any] | None) -> BackendOptions:
    """Check what was given.

    Raises
    ------
    UserError
        An option that the backend does not have, or a value that it can't have.
    """
    chosen = dict(given or {})
    target = chosen.pop("target", "native")
    unknown = [name for name in chosen if name not in _KNOWN]
    if unknown:
        raise UserError(f"options: found {unknown[0]!r}, expected some of target, {', '.join(_KNOWN)}")
    Options(**chosen)
    resolved = resolve(target)
    if not resolved.runs_here():
        raise UserError(f"options: this machine can't run code for {resolved.name}; choose another target, or none")
    return BackendOptions(target, chosen)
