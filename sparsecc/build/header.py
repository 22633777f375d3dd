"""The generated C header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sparsecc.build.emit import c_comment
from sparsecc.build.sources import SOURCES, fill
from sparsecc.ir.program import Port, Program


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
        "indices": "\n".join(
            [*_indices(program.name, "input", program.inputs), *_indices(program.name, "output", program.outputs)]
        ),
    }
    return fill((SOURCES / "model.h.in").read_text(encoding="utf-8"), values)


def _lines(kind: str, ports: Sequence[Port]) -> list[str]:
    return [
        f" * {kind} {i}: {c_comment(port.name)}, {port.dtype}[{', '.join(map(str, port.shape))}], {port.nbytes} bytes"
        for i, port in enumerate(ports)
    ]


def _indices(name: str, kind: str, ports: Sequence[Port]) -> list[str]:
    """A macro for each port; none for names that C can't express, or that differ in case only."""
    macros = [f"{name}_{kind}_{port.name}".upper() if port.name.isascii() else "" for port in ports]
    counts = Counter(macros)
    return [
        f"#define {macro} {i}"
        for i, macro in enumerate(macros)
        if counts[macro] == 1 and re.fullmatch(r"\w+", macro, flags=re.ASCII)
    ]
