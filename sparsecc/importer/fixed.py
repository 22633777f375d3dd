"""Exported programs whose dimensions were left open, with sizes for all of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.export import ExportedProgram

from sparsecc.errors import ModelError, first_line
from sparsecc.importer.checks import shown_shape, user_inputs
from sparsecc.text import printable


def input_sizes(
    program: ExportedProgram,
    sizes: Mapping[str, tuple[int, ...]] | Sequence[tuple[int, ...]] | None,
    *,
    batch: int | None,
    examples: Sequence[Any] | None,
) -> tuple[tuple[int, ...], ...]:
    """Sizes of all inputs: as said, else of the examples where the program leaves them open, else the program's.

    Raises
    ------
    ModelError
        A name that is none of an input's, too many of them, or sizes that are still open or contradict the program.
    """
    nodes = user_inputs(program)
    names = [node.name for node in nodes]
    given = dict(sizes) if isinstance(sizes, Mapping) else dict(zip(names, sizes or (), strict=False))
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None or len(sizes or ()) > len(names):
        found = f"{printable(unknown)!r} is no input" if unknown is not None else f"found {len(sizes or ())}"
        raise ModelError(f"shapes: {found}, expected of: {', '.join(names)}")
    for node, x in zip(nodes, examples or (), strict=False):
        if node.name not in given and x.ndim == len(node.meta["val"].shape):
            given[node.name] = tuple(x.shape)
    return tuple(_sizes(node, given.get(node.name), batch) for node in nodes)


def _sizes(node: Any, given: tuple[int, ...] | None, batch: int | None) -> tuple[int, ...]:
    known = tuple(node.meta["val"].shape)
    found = known if given is None else given
    if batch is not None and found:
        found = (batch, *found[1:])
    if any(not isinstance(extent, int) for extent in found):
        sizes = ", ".join(str(extent) if isinstance(extent, int) else "..." for extent in found)
        raise ModelError(
            f"input {node.name}: its shape {shown_shape(known)} is dynamic, expected fixed sizes; say the others too: "
            f"shapes={{{node.name!r}: ({sizes})}}"
        )
    fits = len(found) == len(known) and all(
        not isinstance(own, int) or own == extent for own, extent in zip(known, found, strict=True)
    )
    if not fits:
        raise ModelError(
            f"input {node.name}: found shape {found}, expected {shown_shape(known)} as the program was exported with; "
            "export it with dynamic_shapes= for dimensions that are to change, or give the module itself"
        )
    return found


def fixed(program: ExportedProgram, sizes: Sequence[tuple[int, ...]]) -> ExportedProgram:
    """The program with inputs of these sizes.

    Raises
    ------
    ModelError
        It can't have them.
    """
    if all(tuple(node.meta["val"].shape) == own for node, own in zip(user_inputs(program), sizes, strict=True)):
        return program
    types = [node.meta["val"].dtype for node in user_inputs(program)]
    inputs = tuple(torch.zeros(own, dtype=dtype) for own, dtype in zip(sizes, types, strict=True))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(program.module(), inputs)
    except Exception as error:  # PyTorch's errors about sizes are of many kinds
        shapes = ", ".join(map(str, sizes))
        raise ModelError(
            f"shapes: the exported program can't have inputs of {shapes} ({first_line(error)}); expected sizes that "
            "its dynamic_shapes allow"
        ) from error
