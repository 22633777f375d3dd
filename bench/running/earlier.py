"""Results of an earlier run that a new one may add to."""

from __future__ import annotations

import os
from pathlib import Path

from bench.results.schema import Machine, Results, Rules, load

_ADVICE = "choose another --out, or measure all --anew"


def earlier(path: str | os.PathLike[str], *, machine: Machine, rules: Rules) -> Results | None:
    """Read what is in ``path``; None when there is nothing, ValueError when it must not be mixed with a new run's."""
    file = Path(path)
    if not file.exists() or not file.stat().st_size:
        return None
    found = load(file)
    if found.rules != rules:
        raise ValueError(f"{file} was measured by other rules: found {found.rules}, expected {rules}; {_ADVICE}")
    for what in ("cpu", "cores", "features"):
        was, now = getattr(found.machine, what), getattr(machine, what)
        if was != now:
            raise ValueError(f"{file} is of another machine: {what} {was!r}, expected {now!r}; {_ADVICE}")
    for name, now in machine.versions.items():
        was = found.machine.versions.get(name, now)
        if was != now:
            raise ValueError(f"{file} was made with another version of {name}: {was}, expected {now}; {_ADVICE}")
    return found
