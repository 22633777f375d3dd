"""The packages that sparsecc's parts need, and which of them are here."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

#: extras that serve users; those of developers are their own affair
_EXTRAS = ("compiler", "onnx", "quantize", "tune", "prune", "page", "completion", "services")
_REQUIREMENT = re.compile(
    r"""(?P<name>[\w.-]+)(\[[\w,-]*\])?\s*\(?(?P<wanted>[^;)]*)\)?(;.*extra == ["'](?P<extra>[\w-]+)["'])?"""
)
_CLAUSE = re.compile(r"\s*(>=|<=|==|<|>|!=|~=)\s*([\w.]+)")


def packages() -> list[dict[str, Any]]:
    """Name, installed version or None, what is wanted, the extra that brings it, and whether the version fits."""
    found: dict[str, dict[str, Any]] = {}
    for text in _declared():
        match = _REQUIREMENT.match(text)
        extra = "" if match is None else match["extra"] or "run"
        if match is None or extra not in ("run", *_EXTRAS) or match["name"] in found:
            continue
        installed, wanted = _version(match["name"]), match["wanted"].strip()
        fits = installed is None or fits_clauses(installed, wanted)
        row = {"name": match["name"], "installed": installed, "wanted": wanted, "for": extra, "fits": fits}
        found[match["name"]] = row
    return sorted(found.values(), key=lambda row: (row["for"] != "run", (*_EXTRAS, "run").index(row["for"])))


def fits_clauses(installed: str, wanted: str) -> bool:
    """Whether a version is one of those that are wanted, such as ``>=2.13,<2.14``."""
    for sign, text in _CLAUSE.findall(wanted):
        left, right = _release(installed), _release(text)
        width = max(len(left), len(right))
        left, right = ((*numbers, *[0] * (width - len(numbers))) for numbers in (left, right))
        holds = {
            ">=": left >= right, "<=": left <= right, "==": left == right, "<": left < right, ">": left > right,
            "!=": left != right, "~=": left >= right,
        }[sign]  # fmt: skip
        if not holds:
            return False
    return True


def _release(text: str) -> tuple[int, ...]:
    """The numbers a version begins with; local parts such as ``+cpu`` say nothing of what it can do."""
    return tuple(map(int, re.findall(r"\d+", text.partition("+")[0])))


def _declared() -> list[str]:
    try:
        return requires("sparsecc") or []
    except PackageNotFoundError:  # the folder of the sources is on the path, and nothing was installed
        return []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
