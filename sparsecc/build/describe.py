"""What a library says about itself: JSON that it carries in a section of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sparsecc.ir.program import Port, Program
from sparsecc.runtime.format import FORMAT
from sparsecc.version import VERSION

#: hexadecimal digits of a build's number
BUILD_DIGITS = 32


def describe(
    program: Program,
    *,
    triple: str,
    cpu_features: Sequence[str],
    arena_bytes: int,
    weight_bytes: int,
    weights_digest: bytes,
    others: Sequence[Program] = (),
    in_pieces: bool = False,
) -> dict[str, Any]:
    """The program's own description with what this stage knows: interface, machine, memory, steps, build.

    Parameters
    ----------
    program : Program
    triple : str
    cpu_features : sequence of str
        They do not count for the build's number: they follow from the target.
    arena_bytes, weight_bytes : int
        Of an instance's buffers, and of the weights.
    weights_digest : bytes
        Digest of the weights as the library has them.
    others : sequence of Program
        Those for other shapes.
    in_pieces : bool
        Whether other batches may be computed in pieces.
    """
    told = _told(program, triple=triple, arena_bytes=arena_bytes, weight_bytes=weight_bytes)
    if others:
        told |= {"in_pieces": in_pieces, "shapes": [_shape(program, None), *(_shape(o, program) for o in others)]}
    number = hashlib.sha256(description_text(told).encode() + weights_digest).hexdigest()[:BUILD_DIGITS]
    return {**told, "cpu_features": list(cpu_features), "build": number}


def facts(description: dict[str, Any]) -> list[str]:
    """Lines about what a network is: whose, which version, which build; those that are known."""
    meta = description.get("meta", {})
    kind = description.get("dtype") and f"{description['dtype']}; inputs and outputs as below"
    named = [
        ("Network", description.get("network")),
        ("Computes with", kind),
        *((key, value) for key, value in meta.items()),
    ]
    lines = [f"{key}: {value if isinstance(value, str) else f'{len(value)} texts'}" for key, value in named if value]
    return [*lines, f"Build: {description['build']}"]


def _told(program: Program, *, triple: str, arena_bytes: int, weight_bytes: int) -> dict[str, Any]:
    own = {"target": triple, "version": VERSION, **program.description}
    return {
        **own,
        "format": FORMAT,
        "name": program.name,
        "inputs": [_port(port) for port in program.inputs],
        "outputs": [_port(port) for port in program.outputs],
        "structure": structure_of(program),
        "triple": triple,
        "arena_bytes": arena_bytes,
        "weight_bytes": weight_bytes,
        "steps": _steps(program),
    }


def _shape(program: Program, first: Program | None) -> dict[str, Any]:
    """Of one of several shapes, what the first one's program has otherwise."""
    sizes: dict[str, Any] = {
        "inputs": [list(port.shape) for port in program.inputs],
        "outputs": [list(port.shape) for port in program.outputs],
    }
    if first is None:
        return sizes
    ones, others = ({step["key"]: step for step in _reported(one)} for one in (first, program))
    steps = [step for key, step in others.items() if ones.get(key) != step]
    return {**sizes, "steps": _steps(program), "reported": steps, "specs": _specs(first, program)}


def _specs(first: Program, other: Program) -> list[dict[str, Any]]:
    """Of each layer of the plan, what its convolution has otherwise: batch and image."""
    found = []
    for one, layer in zip(*(_planned(program) for program in (first, other)), strict=True):
        found.append({name: value for name, value in layer["spec"].items() if one["spec"][name] != value})
    return found


def _planned(program: Program) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = program.description.get("report", {}).get("plan", {}).get("layers", [])
    return found


def _reported(program: Program) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = program.description.get("report", {}).get("steps", [])
    return found


def _steps(program: Program) -> list[dict[str, Any]]:
    return [{"key": step.key, "kernel": step.symbol} for step in program.steps]


def structure_of(program: Program) -> Any:
    """How a call's result is put together from the outputs: the program's own way, else one or a tuple of them."""
    if program.structure is not None:
        return program.structure
    return 0 if len(program.outputs) == 1 else {"tuple": list(range(len(program.outputs)))}


def description_text(description: dict[str, Any]) -> str:
    """JSON in ASCII, without spaces; a number that JSON can't express is an error, not NaN."""
    return json.dumps(description, separators=(",", ":"), allow_nan=False)


def _port(port: Port) -> dict[str, Any]:
    more = {"layout": port.layout or None, "scale": port.scale, "zero_point": port.zero_point}
    known = {member: value for member, value in more.items() if value is not None}
    return {"name": port.name, "shape": list(port.shape), "dtype": port.dtype, **known}
