"""The generated C header."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparsecc.build.emit import c_comment
from sparsecc.build.sources import SOURCES
from sparsecc.facts.program import Port, Program


def header_text(program: Program, description: dict[str, Any]) -> str:
    """``model.h``: the template with this network's names, shapes and facts (from ``describe.describe``)."""
    values = {
        "name": program.name,
        "NAME": program.name.upper(),
        "triple": description["triple"],
        "target": c_comment(str(description["target"])),
        "version": c_comment(str(description["version"])),
        "arena": str(description["arena_bytes"]),
        "interface": "\n".join([*_lines("Input", program.inputs), *_lines("Output", program.outputs)]),
    }
    text = (SOURCES / "model.h.in").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _lines(kind: str, ports: Sequence[Port]) -> list[str]:
    return [
        f" * {kind} {i}: {c_comment(port.name)}, {port.dtype}[{', '.join(map(str, port.shape))}], {port.nbytes} bytes"
        for i, port in enumerate(ports)
    ]
