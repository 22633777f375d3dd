"""Any form of model to one functional ``ExportedProgram`` with static float32 shapes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch.export import ExportedProgram

from sparsecc.errors import ModelError, NotSupportedError

Model: TypeAlias = torch.nn.Module | ExportedProgram | str | Path


def to_exported(
    model: Model, example_inputs: Sequence[Any] | None
) -> tuple[ExportedProgram, tuple[Any, ...], list[str]]:
    """Export ``model`` in evaluation mode and make its operators functional.

    Parameters
    ----------
    model : torch.nn.Module, ExportedProgram or path of a .pt2 file
    example_inputs : sequence of tensor or array, optional
        Needed for a module; for the others only shapes are checked.

    Returns
    -------
    tuple
        The program, the example inputs (random ones of the program's shapes when none were given) and notes for the
        report.

    Raises
    ------
    ModelError
        A file that can't be read as .pt2, a missing example input, or one of the wrong shape.
    NotSupportedError
        Dynamic shapes, other types than float32, quantized models, anything that ``torch.export`` refuses.
    """
    notes: list[str] = []
    inputs = None if example_inputs is None else tuple(torch.as_tensor(x) for x in _as_sequence(example_inputs))
    if isinstance(model, torch.nn.Module):
        program = _export_module(model, inputs, notes)
    elif isinstance(model, ExportedProgram):
        program = model
    elif isinstance(model, (str, Path)):
        program = _load(Path(model))
    else:
        raise ModelError(
            f"model: found {type(model).__name__}, "
            "expected a torch.nn.Module, an ExportedProgram or the path of a .pt2 file"
        )
    _check_inputs(program)
    _check_weights(program)
    if inputs is None:
        inputs = _random_inputs(program)
    _check_examples(program, inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return program.run_decompositions({}), inputs, notes


def user_inputs(program: ExportedProgram) -> list[Any]:
    """The graph's nodes for the tensors that a caller passes in."""
    names = set(program.graph_signature.user_inputs)
    return [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]


def _as_sequence(example_inputs: Any) -> Sequence[Any]:
    return example_inputs if isinstance(example_inputs, (tuple, list)) else (example_inputs,)


def _export_module(model: torch.nn.Module, inputs: tuple[Any, ...] | None, notes: list[str]) -> ExportedProgram:
    if inputs is None:
        raise ModelError("example_inputs: a torch.nn.Module needs them, to know the shapes; pass example_inputs=(x,)")
    quantized = next((n for n, m in model.named_modules() if "quantized" in type(m).__module__), None)
    if quantized is not None:
        raise NotSupportedError(f"layer {quantized or 'model'}: quantized layers are not supported, expected float32")
    if model.training or any(m.training for m in model.modules()):
        notes.append("the model was in training mode: a copy in evaluation mode was compiled")
        model = copy.deepcopy(model)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(model.eval(), inputs)
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NotSupportedError(
            f"model: torch.export can't trace it ({first}); try torch.export.export(model, inputs) by itself to see why"
        ) from error


def _load(path: Path) -> ExportedProgram:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected a .pt2 written by torch.export.save")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.load(path)
    except Exception as error:
        raise ModelError(
            f"{path}: not a .pt2 file that this PyTorch ({torch.__version__}) can read; write it with "
            "torch.export.save(torch.export.export(model, inputs), path)"
        ) from error


def _check_inputs(program: ExportedProgram) -> None:
    for node in user_inputs(program):
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            raise NotSupportedError(f"input {node.name}: found {type(value).__name__}, expected a float32 tensor")
        if any(not isinstance(extent, int) for extent in value.shape):
            raise NotSupportedError(
                f"input {node.name}: its shape {tuple(value.shape)} is dynamic, expected fixed sizes; "
                "export without dynamic_shapes, once for each size"
            )
        if value.dtype != torch.float32:
            raise NotSupportedError(
                f"input {node.name}: found {value.dtype}, expected torch.float32; convert the model"
            )


def _check_weights(program: ExportedProgram) -> None:
    for name, tensor in program.state_dict.items():
        if tensor.is_quantized:
            raise NotSupportedError(f"weight {name}: quantized tensors are not supported, expected torch.float32")
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise NotSupportedError(f"weight {name}: found {tensor.dtype}, expected torch.float32; use model.float()")
        if tensor.device.type != "cpu":
            raise ModelError(f"weight {name}: found it on {tensor.device}, expected the CPU; use model.cpu()")


def _random_inputs(program: ExportedProgram) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(tuple(node.meta["val"].shape), generator=generator) for node in user_inputs(program))


def _check_examples(program: ExportedProgram, inputs: tuple[Any, ...]) -> None:
    nodes = user_inputs(program)
    if len(nodes) != len(inputs):
        raise ModelError(f"example_inputs: found {len(inputs)}, expected {len(nodes)}")
    for node, x in zip(nodes, inputs, strict=True):
        if tuple(x.shape) != tuple(node.meta["val"].shape) or x.dtype != torch.float32:
            raise ModelError(
                f"example_inputs: {node.name} is {x.dtype} {tuple(x.shape)}, expected torch.float32 "
                f"{tuple(node.meta['val'].shape)}"
            )
