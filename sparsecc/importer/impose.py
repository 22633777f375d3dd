"""Puts a 1xN pattern on the layers of an exported program."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.export import ExportedProgram

from sparsecc.analyse.impose import Impose, imposed
from sparsecc.errors import ModelError
from sparsecc.importer.arguments import arguments, operator_name
from sparsecc.importer.constants import fold_constants
from sparsecc.importer.names import module_path
from sparsecc.importer.programs import rebuilt
from sparsecc.text import printable

#: where a copy of a weight is kept: the same array, elsewhere
Keep: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]

#: operators that only turn a linear layer's weight round
_TURNING = ("t", "transpose", "permute", "numpy_T")


class Prunable(NamedTuple):
    """A layer that patterns are put on: its name, the node of its weight, its groups."""

    name: str
    weight: fx.Node
    groups: int


def prunable_layers(program: ExportedProgram) -> list[Prunable]:
    """Convolutions and linear layers but the first convolution, depthwise ones and the last linear layer.

    Transposed convolutions are left out, too: their blocks are not those of a forward convolution.
    """
    constants = fold_constants(program)
    convs: list[tuple[int, Prunable]] = []
    linears: list[tuple[int, Prunable]] = []
    for place, node in enumerate(program.graph.nodes):
        name = operator_name(node)
        if name in ("conv1d", "conv2d", "conv3d"):
            _, weight, _bias, _stride, _padding, _dilation, groups = arguments(node, 7, [None, None, None, 1, 0, 1, 1])
            convs.append((place, Prunable(module_path(node), weight, groups)))
        elif name == "convolution" and not node.args[6]:
            convs.append((place, Prunable(module_path(node), node.args[1], node.args[8])))
        elif name in ("linear", "addmm", "mm"):
            factor = node.args[2 if name == "addmm" else 1]
            if factor in constants:  # else a product of two activations
                linears.append((place, Prunable(module_path(node), _unturned(factor), 1)))
    kept = [*((place, layer) for place, layer in convs[1:] if not _is_depthwise(layer)), *linears[:-1]]
    return [layer for _, layer in sorted(kept, key=lambda found: found[0])]


def impose_on(program: ExportedProgram, impose: Impose, *, keep: Keep) -> ExportedProgram:
    """A program with the pattern on all its prunable layers, its weights where ``keep`` puts them.

    The given program keeps its own.

    Raises
    ------
    ModelError
        No layer can be pruned, or a weight is computed from others, as masks do: such a model is pruned already.
    """
    layers = prunable_layers(program)
    if not layers:
        raise ModelError(
            f"impose {impose}: found no layer to prune, expected convolutions or linear layers beside the first "
            "convolution, depthwise ones and the last linear layer"
        )
    signature, state = program.graph_signature, program.state_dict
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    done: dict[str, torch.Tensor] = {}
    for layer in layers:
        name = names.get(layer.weight.name)
        if name is None:
            raise ModelError(
                f"layer {printable(layer.name)}: impose needs a plain weight, found one that the model computes; leave "
                "masks and parametrizations away, or compile the model without impose if it is pruned already"
            )
        if name not in done:  # two layers may share a weight
            pruned = from_array(keep(imposed(state[name].detach().numpy(), impose, groups=layer.groups)))
            is_parameter = isinstance(state[name], torch.nn.Parameter)
            done[name] = torch.nn.Parameter(pruned, requires_grad=False) if is_parameter else pruned
    return rebuilt(program, state={**state, **done})


def has_empty_channels(program: ExportedProgram) -> bool:
    """Whether a layer of a program has filters of zeros, or input channels that none of its filters reads."""
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    weights = (program.state_dict.get(names.get(layer.weight.name, "")) for layer in prunable_layers(program))
    kernels = (
        (weight != 0).flatten(2).any(2) if weight.ndim > 2 else weight != 0 for weight in weights if weight is not None
    )
    return any(not bool(kept.any(0).all() and kept.any(1).all()) for kept in kernels)


def from_array(array: NDArray[np.float32]) -> torch.Tensor:
    """The same memory; nobody writes to a program's weights, so it may be read-only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.from_numpy(array)


def _unturned(node: Any) -> Any:
    while operator_name(node) in _TURNING:
        node = node.args[0]
    return node


def _is_depthwise(layer: Prunable) -> bool:
    """Also true of what moves along a sequence of one channel, as channel attention does."""
    shape = layer.weight.meta["val"].shape
    return int(shape[1]) == 1 and (layer.groups > 1 or len(shape) == 3)
