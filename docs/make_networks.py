"""Compiles networks of other packages, and keeps what becomes of them: ``make docs-networks``, which takes hours.

Each network's line is written as soon as it is known, and what is there is not made again unless it is named as an
argument. ``make docs`` makes a table of them, and a slow test holds it against what is so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from package_case import imported, outcome, versions
from package_nets import NETS

DATA = Path(__file__).with_name("networks.json")


def known() -> dict[str, Any]:
    """What was found so far with these versions of the packages."""
    data = json.loads(DATA.read_text()) if DATA.exists() else {}
    return dict(data["networks"]) if data.get("versions") == versions() else {}


def write(found: dict[str, Any]) -> None:
    """What is known, in the order of the list."""
    data = {"versions": versions(), "networks": {name: found[name] for name in NETS if name in found}}
    DATA.write_text(json.dumps(data, indent=1) + "\n")


def make(names: list[str], *, only_import: bool) -> None:
    """Try the networks that are named, else all that are not known; those that were only imported are compiled, too."""
    found = known()
    for name in names or [name for name in NETS if name not in found or not (only_import or _is_done(found[name]))]:
        found[name] = imported(name) if only_import else outcome(name)
        write(found)


def _is_done(entry: dict[str, Any]) -> bool:
    return "difference" in entry or "refused" in entry


if __name__ == "__main__":
    given = sys.argv[1:]
    make([name for name in given if name != "--import"], only_import="--import" in given)
