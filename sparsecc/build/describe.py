"""What a library says about itself: JSON that it carries in a section of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sparsecc.ir.program import Port, Program
from sparsecc.runtime.format import FORMAT
from sparsecc.version import VERSION


def describe(
    program: Program, *, triple: str, cpu_features: Sequence[str], arena_bytes: int, weight_bytes: int
) -> dict[str, Any]:
    """The program's own description with what this stage knows: interface, machine, memory, steps."""
    own = {"target": triple, "version": VERSION, **program.description}
    return {
        **own,
        "format": FORMAT,
        "name": program.name,
        "inputs": [_port(port) for port in program.inputs],
        "outputs": [_port(port) for port in program.outputs],
        "structure": structure_of(program),
        "triple": triple,
        "cpu_features": list(cpu_features),
        "arena_bytes": arena_bytes,
        "weight_bytes": weight_bytes,
        "steps": [{"key": step.key, "kernel": step.symbol} for step in program.steps],
    }


def structure_of(program: Program) -> Any:
    """How a call's result is put together from the outputs: the program's own way, else one or a tuple of them."""
    if program.structure is not None:
        return program.structure
    return 0 if len(program.outputs) == 1 else {"tuple": list(range(len(program.outputs)))}


def description_text(description: dict[str, Any]) -> str:
    """JSON in ASCII, without spaces; a number that JSON can't express is an error, not NaN."""
    return json.dumps(description, separators=(",", ":"), allow_nan=False)


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "shape": list(port.shape), "dtype": port.dtype}
