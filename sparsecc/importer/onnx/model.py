"""An ONNX file as what the importer starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from sparsecc.importer.checks import as_tensors
from sparsecc.importer.examples import random_of
from sparsecc.importer.onnx.fold import Folded, fold
from sparsecc.importer.onnx.inputs import input_shapes, input_types
from sparsecc.importer.onnx.network import exported
from sparsecc.importer.onnx.read import read


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A network that came from an ONNX file.

    Attributes
    ----------
    path : Path
    program : ExportedProgram
    inputs, outputs : tuple of str
        Their names in the file.
    example : tuple of Tensor
        Inputs to verify with.
    folded : Folded
        Its operators, to find the one that is translated wrongly.
    """

    path: Path
    program: ExportedProgram
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: tuple[Any, ...]
    folded: Folded


def open_onnx(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]] | Sequence[tuple[int, ...]],
    example_inputs: Any,
    *,
    batch: int | None = None,
) -> OnnxModel:
    """Read and translate a file.

    Raises
    ------
    ModelError, NotSupportedError
        As :func:`~sparsecc.importer.onnx.read.read`, :func:`~sparsecc.importer.onnx.inputs.input_shapes` and
        :func:`~sparsecc.importer.onnx.fold.fold` say.
    """
    file = read(path)
    examples = None if example_inputs is None else as_tensors(example_inputs)
    found = input_shapes(file.graph, file.weights, shapes=shapes, examples=examples, batch=batch, where=str(path))
    folded = fold(file, found)
    outputs = tuple(value.name for value in file.graph.output)
    types = input_types(file.graph)
    program = exported(folded, found, outputs, types=types)
    if examples is None:
        generator = torch.Generator().manual_seed(0)
        examples = tuple(random_of(types[name], shape, generator) for name, shape in found.items())
    return OnnxModel(path, program, tuple(found), outputs, examples, folded)
