"""What a library says about itself, for people and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from sparsecc.cli.console import say
from sparsecc.cli.plan_view import chosen_by_text, print_plan
from sparsecc.cli.units import shape_text
from sparsecc.runtime.stored_report import StoredReport
from sparsecc.text import in_bytes, printable

JSON = dict[str, Any]

#: texts of a list that are shown
_SHOWN = 5


def library_document(path: Path, description: JSON) -> JSON:
    """The description with the file it came from."""
    return {"kind": "library", "path": str(path), "file_bytes": path.stat().st_size, **description}


def print_library(console: Console, path: Path, description: JSON) -> None:
    """Print interface, sizes, needs, and the report if there is one."""
    if description.get("report"):
        report = StoredReport(description["report"], library=str(path)).read()
        print_plan(console, report.plan)
        say(console, chosen_by_text(report))
        for note in report.notes:
            say(console, f"note: {note}")
        say(console)
    for line in _facts(path, description):
        say(console, line)


def _facts(path: Path, description: JSON) -> list[str]:
    size, weights, arena = path.stat().st_size, description["weight_bytes"], description["arena_bytes"]
    needs = [description["triple"], *description["cpu_features"]]
    return [
        f"library  {path}, {in_bytes(size)}, {in_bytes(weights)} of them weights",
        *(_port("input ", port) for port in description["inputs"]),
        *(_port("output", port) for port in description["outputs"]),
        *_shapes(description),
        f"target   {description['target']}; needs {' '.join(needs)}",
        f"memory   {in_bytes(weights + arena)} of an instance: {in_bytes(weights)} of weights, which all share, and "
        f"{in_bytes(arena)} of buffers",
        f"made by  sparsecc {description['version']}; {len(description['steps'])} kernel calls, "
        f"C functions {description['name']}_...",
        *_said(description),
    ]


def _shapes(description: JSON) -> list[str]:
    """Of a library for several shapes, those that it has, and whether others can be made of them."""
    shapes = description.get("shapes", [])
    if not shapes:
        return []
    texts = [", ".join(map(shape_text, shape["inputs"])) for shape in shapes]
    others = "are run in pieces" if description.get("in_pieces") else "can't be run in pieces"
    return [f"shapes   {'; '.join(texts)}; batches of other sizes {others}"]


def _said(description: JSON) -> list[str]:
    """Which network it is, as far as the library knows."""
    named = {
        "network": description.get("network"),
        "build": description.get("build"),
        "computes": description.get("dtype"),
        **description.get("meta", {}),
    }
    return [f"{key:8} {_text(value)}" for key, value in named.items() if value]


def _text(value: str | list[str]) -> str:
    if isinstance(value, str):
        return printable(value)
    shown = ", ".join(map(printable, value[:_SHOWN]))
    return f"{len(value)}: {shown}{', ...' if len(value) > _SHOWN else ''}"


def _port(kind: str, port: JSON) -> str:
    layout = ", channels last (nhwc)" if port.get("layout") == "nhwc" else ""
    codes = f", codes q of {port['scale']:g} * (q - {port['zero_point']})" if "scale" in port else ""
    return f"{kind}   {port['name']}, {port['dtype']} {shape_text(port['shape'])}{layout}{codes}"
