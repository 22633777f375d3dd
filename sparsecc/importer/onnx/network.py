"""What is left of an ONNX graph as PyTorch's exported program, whose layers have the names of ONNX's nodes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from sparsecc.errors import NotSupportedError, first_line
from sparsecc.importer.names import ONNX
from sparsecc.importer.onnx.fold import Folded
from sparsecc.importer.onnx.node import Node
from sparsecc.importer.onnx.table import run_step
from sparsecc.text import printable


class _Step(nn.Module):  # type: ignore[misc]  # torch's types are not followed
    """One operator."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node

    def forward(self, *inputs: Tensor | None) -> tuple[Tensor, ...]:
        return run_step(self.node, inputs)


class _Network(nn.Module):  # type: ignore[misc]
    """All of them; constants that steps read are buffers."""

    def __init__(self, folded: Folded, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.inputs, self.outputs = list(inputs), dict(zip(outputs, folded.outputs, strict=True))
        self.steps = nn.ModuleList(_Step(node) for node in folded.steps)
        read = dict.fromkeys([*(name for node in folded.steps for name in node.inputs), *folded.outputs])
        self.names = {name: f"constant_{i}" for i, name in enumerate(read) if name in folded.constants}
        for name, buffer in self.names.items():
            self.register_buffer(buffer, folded.constants[name])

    def forward(self, *inputs: Tensor) -> Tensor | dict[str, Tensor]:
        values: dict[str, Any] = dict(zip(self.inputs, inputs, strict=True))
        values.update({name: getattr(self, buffer) for name, buffer in self.names.items()})
        for step in self.steps:
            results = step(*(values[name] if name else None for name in step.node.inputs))
            values.update(zip(step.node.outputs, results, strict=False))
        found = {name: values[value] for name, value in self.outputs.items()}
        return found if len(found) > 1 else next(iter(found.values()))


def exported(
    folded: Folded, shapes: Mapping[str, tuple[int, ...]], outputs: Sequence[str], *, types: Mapping[str, torch.dtype]
) -> ExportedProgram:
    """Let PyTorch export the steps; several outputs are a dict by their names.

    Raises
    ------
    NotSupportedError
        A weight that is not float32; an operator that PyTorch can't export.
    """
    network = _Network(folded, list(shapes), outputs).eval()
    for name, buffer in network.names.items():
        found = getattr(network, buffer).dtype
        if found.is_floating_point and found != torch.float32:
            raise NotSupportedError(
                f"weight {printable(name)}: found {found}, expected torch.float32; convert the model to float32"
            )
    example = tuple(torch.zeros(shape, dtype=types[name]) for name, shape in shapes.items())
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.export.export(network, example)
        except Exception as error:
            raise NotSupportedError(
                f"model: torch.export can't trace what the file says ({first_line(error)})"
            ) from error
    _name_layers(program, folded.steps)
    return program


def _name_layers(program: ExportedProgram, steps: Sequence[Node]) -> None:
    """Modules ``steps.17`` get the names of their nodes, and classes those of their operators."""
    for node in program.graph.nodes:
        stack = node.meta.get("nn_module_stack") or {}
        paths = [path for path, _ in stack.values() if ".steps." in f".{path}"]
        if paths:
            step = steps[int(paths[-1].rpartition(".")[2])]
            node.meta["nn_module_stack"] = {step.name: (step.name, f"{ONNX}{step.op}")}
