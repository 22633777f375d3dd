"""A model in evaluation mode, whatever its members are, and with the caller's own left as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from sparsecc.errors import ModelError
from sparsecc.importer.arguments import arguments, schema_of
from sparsecc.importer.names import layer_name

#: parts of a module that hold tensors and modules: they are always copied
_TENSORS = ("_parameters", "_buffers", "_modules")
#: what operators call the argument that says whether they run as in training
_TRAINING = ("train", "training", "use_input_stats")
#: those whose argument of that kind says nothing: they have no running statistics
_WITHOUT_MODES = frozenset({torch.ops.aten._native_batch_norm_legit.no_stats})


@contextmanager
def in_evaluation_mode(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """A copy in evaluation mode; the model itself if it is in that mode, or refuses to be copied.

    Only then its own ``training`` flags are changed for as long as needed: its ``eval()`` may do more than set them.
    """
    training = [module for module in model.modules() if module.training]
    if not training:
        yield model
        return
    copied = own_copy(model)
    if copied is not None:
        copied.eval()
        yield copied
        return
    try:
        for module in training:
            module.training = False
        yield model
    finally:
        for module in training:
            module.training = True


def own_copy(model: torch.nn.Module) -> torch.nn.Module | None:
    """A deep copy that shares what can't be copied, such as locks and open files; None where that fails, too."""
    attempts: tuple[Callable[[], dict[int, Any]], ...] = (
        dict,
        lambda: _computed(model),
        lambda: {**_uncopied(model), **_computed(model)},
    )
    for known in attempts:
        with suppress(Exception):
            return copy.deepcopy(model, known())
    return None


def _uncopied(model: torch.nn.Module) -> dict[int, Any]:
    """Members that can't be copied, by their identity."""
    members = (member for module in model.modules() for member in vars(module).items())
    return {id(value): value for name, value in members if name not in _TENSORS and not _can_be_copied(value)}


def _can_be_copied(value: Any) -> bool:
    try:
        copy.deepcopy(value)
    except Exception:
        return False
    return True


def _computed(model: torch.nn.Module) -> dict[int, Any]:
    """Tensors with a history of gradients, as hooks and weight norm keep them, each with a copy without one."""
    values = (value for module in model.modules() for value in (*vars(module).values(), *module._buffers.values()))
    tensors = (value for value in values if isinstance(value, torch.Tensor) and not value.is_leaf)
    return {id(tensor): tensor.detach().clone() for tensor in tensors}


def check_evaluation_mode(program: ExportedProgram) -> None:
    """No operator computes as in training: batch norm with the statistics of its input, dropout that drops.

    Raises
    ------
    ModelError
        The message names the layer.
    """
    for node in program.graph.nodes:
        if _trains(node):
            raise ModelError(
                f"layer {layer_name(node)}: {node.target} runs in training mode, expected evaluation mode; "
                "export after model.eval(), and call functions such as F.dropout with training=False"
            )


def _trains(node: fx.Node) -> bool:
    if node.op != "call_function" or not hasattr(node.target, "_schema") or node.target in _WITHOUT_MODES:
        return False
    formal = schema_of(node).arguments
    names = [argument.name for argument in formal]
    values = dict(
        zip(names, arguments(node, len(formal), [argument.default_value for argument in formal]), strict=True)
    )
    # without running statistics a norm computes the same in both modes
    has_modes = "running_mean" not in values or values["running_mean"] is not None
    return has_modes and any(values.get(name) is True for name in _TRAINING)
