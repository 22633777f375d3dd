"""The shapes that a library has a program for, and which of them a call means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparsecc.errors import InputError
from sparsecc.runtime.ports import Port, ports

#: shapes of calls that are remembered
_MOST_KNOWN = 1024
#: shapes that a message names
_NAMED = 8

Sizes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Shape:
    """A shape of a library's inputs and outputs.

    Attributes
    ----------
    number : int
        In the library's order, from 0.
    inputs, outputs : tuple of Port
    batch : int
        Images that are run in pieces, none of which may be so large; 0 where the shape has a program of its own.
    """

    number: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    batch: int = 0

    @property
    def sizes(self) -> Sizes:
        """Of every input."""
        return tuple(port.shape for port in self.inputs)

    def __str__(self) -> str:
        return ", ".join(f"{port.name} {port.shape}" for port in self.inputs)


def shapes_of(description: dict[str, Any]) -> tuple[Shape, ...]:
    """All of a library's shapes; most have one."""
    first = Shape(0, ports(description["inputs"]), ports(description["outputs"]))
    others = description.get("shapes", [])[1:]
    return (first, *(_resized(first, i, told["inputs"], told["outputs"]) for i, told in enumerate(others, 1)))


def steps_of(description: dict[str, Any], shape: Shape) -> list[dict[str, Any]]:
    """Key and kernel of each step of a shape's program."""
    owner = description["shapes"][shape.number] if shape.number else description
    found: list[dict[str, Any]] = owner["steps"]
    return found


def reported(description: dict[str, Any], shape: Shape) -> Any:
    """The report that a library carries, with the steps of a shape's program."""
    report = description["report"]
    if not shape.number or not isinstance(report, dict):
        return report
    told = [*report.get("steps", []), *description["shapes"][shape.number]["reported"]]
    by_key = {step.get("key"): step for step in told if isinstance(step, dict)}
    keys = [step["key"] for step in steps_of(description, shape)]
    steps = [by_key[key] for key in keys if key in by_key]
    return {**report, "steps": steps, "plan": _planned(report.get("plan"), description["shapes"][shape.number])}


def _planned(plan: Any, told: dict[str, Any]) -> Any:
    """The first shape's plan with the batch and the images of another one."""
    try:
        layers = [
            {**layer, "spec": {**layer["spec"], **spec}}
            for layer, spec in zip(plan["layers"], told.get("specs", []), strict=True)
        ]
        return {**plan, "layers": layers}
    except (KeyError, TypeError, ValueError):  # whoever reads it says that it is damaged
        return plan


def sizes_of(value: Any) -> tuple[int, ...]:
    """The sizes of an argument; none of what has no shape."""
    try:
        return tuple(value.shape) if hasattr(value, "shape") else np.shape(value)
    except (TypeError, ValueError):  # lists of unequal length, and what else NumPy refuses
        return ()


def _resized(shape: Shape, number: int, inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]]) -> Shape:
    pairs = ((shape.inputs, inputs), (shape.outputs, outputs))
    found = [
        tuple(replace(port, shape=tuple(sizes)) for port, sizes in zip(known, given, strict=True))
        for known, given in pairs
    ]
    return Shape(number, found[0], found[1])


class Shapes:
    """Finds the shape that a call means.

    Parameters
    ----------
    shapes : sequence of Shape
        At least two.
    pieces : callable
        Number of a shape and a batch -> how many pieces that batch takes, 0 where it can't be run in pieces.
    library : str
        What messages call it.
    """

    def __init__(self, shapes: Sequence[Shape], *, pieces: Callable[[int, int], int], library: str) -> None:
        self._shapes, self._pieces, self._library = tuple(shapes), pieces, library
        self._known: dict[Sizes, Shape] = {shape.sizes: shape for shape in shapes}

    def find(self, sizes: Sizes) -> Shape:
        """The shape of a call whose inputs have these sizes.

        Raises
        ------
        InputError
            There is none; the message lists those that there are.
        """
        found = self._known.get(sizes)
        if found is None and len(sizes) == len(self._shapes[0].inputs) and all(sizes):
            found = self._in_pieces(sizes)
            if len(self._known) < _MOST_KNOWN:
                self._known[sizes] = found
        return found or self._shapes[0]

    def _in_pieces(self, sizes: Sizes) -> Shape:
        leading = {each[0] for each in sizes}
        like = [shape for shape in self._shapes if [s[1:] for s in shape.sizes] == [s[1:] for s in sizes]]
        for shape in like if len(leading) == 1 else ():
            batch = min(leading)
            if self._pieces(shape.number, batch):
                return Shape(shape.number, _batched(shape.inputs, batch), _batched(shape.outputs, batch), batch)
        raise InputError(self._message(sizes, like))

    def _message(self, sizes: Sizes, like: Sequence[Shape]) -> str:
        names = [port.name for port in self._shapes[0].inputs]
        found = ", ".join(f"{name} {each}" for name, each in zip(names, sizes, strict=True))
        there = "; ".join(map(str, self._shapes[:_NAMED])) + ("; ..." if len(self._shapes) > _NAMED else "")
        why = "which can't be made of those batches" if like else "which is none of its shapes"
        return (
            f"{self._library}: found {found}, {why}; expected one of: {there}; change the arrays, or compile the "
            "network for this shape too (shapes= or batch=, on the command line --shape or --batch)"
        )


def same_ports(known: Sequence[Any]) -> tuple[Port, ...]:
    """What has a name, a shape and a dtype, as inputs or outputs of a library."""
    return tuple(Port(one.name, tuple(one.shape), one.dtype) for one in known)


def _batched(known: Sequence[Port], batch: int) -> tuple[Port, ...]:
    return tuple(replace(port, shape=(batch, *port.shape[1:])) for port in known)
