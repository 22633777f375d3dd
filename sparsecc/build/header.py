"""The generated C header."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Sequence
from typing import Any

from sparsecc.build.describe import facts
from sparsecc.build.emit import c_comment, c_string
from sparsecc.build.header_shapes import shape_sizes, shapes_text
from sparsecc.build.sources import SOURCES, fill
from sparsecc.ir.program import Port, Program

#: bits of the build's number in the header: an absolute symbol has room for them on every processor
_NUMBER_BITS = 31


def header_text(program: Program, description: dict[str, Any]) -> str:
    """``model.h``: the template with this network's names, shapes and facts (from ``describe.describe``)."""
    build = str(description["build"])
    sizes = _sizes(program) | shape_sizes(program, description)
    ports = [("input", program.inputs), ("output", program.outputs)]
    values = {
        "name": program.name,
        "NAME": program.name.upper(),
        "triple": description["triple"],
        "target": c_comment(str(description["target"])),
        "version": c_comment(str(description["version"])),
        "version_text": c_string(str(description["version"])),
        "build": build,
        "build_number": f"{int(build, 16) % (1 << _NUMBER_BITS):#x}",
        "arena": str(description["arena_bytes"]),
        "weights": str(description["weight_bytes"]),
        "facts": "\n".join(f" * {c_comment(line)}" for line in facts(description)),
        "sizes": "\n".join(f"#define {macro} {value}" for macro, value in sizes.items()),
        "shapes": shapes_text(program, description),
        "meta": _meta(program.name, description),
        "interface": "\n".join([*_lines("Input", program.inputs), *_lines("Output", program.outputs)]),
        "indices": "\n".join(line for kind, group in ports for line in _indices(program.name, kind, group, sizes)),
    }
    return fill((SOURCES / "model.h.in").read_text(encoding="utf-8"), values)


def _sizes(program: Program) -> dict[str, int | str]:
    """Macro -> value, for the number of ports, and elements and bytes of each, scale and zero point of codes."""
    name = program.name.upper()
    found: dict[str, int | str] = {}
    for kind, ports in (("INPUT", program.inputs), ("OUTPUT", program.outputs)):
        found[f"{name}_NUM_{kind}S"] = len(ports)
        for i, port in enumerate(ports):
            found[f"{name}_{kind}_{i}_COUNT"] = math.prod(port.shape)
            found[f"{name}_{kind}_{i}_BYTES"] = port.nbytes
            if port.scale is not None and port.zero_point is not None:
                found[f"{name}_{kind}_{i}_SCALE"] = f"{port.scale!r}f"
                found[f"{name}_{kind}_{i}_ZERO_POINT"] = port.zero_point
    return found


def _meta(name: str, description: dict[str, Any]) -> str:
    """What the user had to say of the network: texts, and lists of them as they stand between an array's braces."""
    prefix = f"{name}_META_".upper()
    lines = ["\n/* What was said of the network (--meta); a list fills an array: const char *const all[] = {LIST}; */"]
    for key, value in description.get("meta", {}).items():
        if isinstance(value, str):
            lines.append(f"#define {prefix}{key.upper()} {c_string(value)}")
        else:
            lines.append(f"#define {prefix}{key.upper()}_COUNT {len(value)}")
            lines.append(f"#define {prefix}{key.upper()} {', '.join(map(c_string, value))}")
    return "\n".join(lines) if len(lines) > 1 else ""


def _lines(kind: str, ports: Sequence[Port]) -> list[str]:
    return [
        f" * {kind} {i}: {c_comment(port.name)}, {port.dtype}[{', '.join(map(str, port.shape))}]"
        f"{', NHWC' * (port.layout == 'nhwc')}, {port.nbytes} bytes"
        for i, port in enumerate(ports)
    ]


def _indices(name: str, kind: str, ports: Sequence[Port], taken: Container[str]) -> list[str]:
    """A macro for each port; none for names that C can't express, that differ in case only, or that are taken."""
    macros = [f"{name}_{kind}_{port.name}".upper() if port.name.isascii() else "" for port in ports]
    counts = Counter(macros)
    return [
        f"#define {macro} {i}"
        for i, macro in enumerate(macros)
        if counts[macro] == 1 and macro not in taken and re.fullmatch(r"\w+", macro, flags=re.ASCII)
    ]
