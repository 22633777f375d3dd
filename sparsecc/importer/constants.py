"""Everything in a graph that does not depend on its inputs, computed once: this resolves masks of every form."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from sparsecc.errors import unforeseen
from sparsecc.importer.arguments import operator_name
from sparsecc.importer.names import layer_name

#: operators whose result depends on their first operand's shape and type only, and on the others
_FROM_SHAPES = frozenset(
    {
        "zeros_like",
        "ones_like",
        "full_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "empty_like",
        "new_empty",
        "fill",
        "zero",
    }
)


def fold_constants(program: ExportedProgram) -> dict[fx.Node, Any]:
    """Evaluate the part of the graph that depends on weights alone.

    Parameters
    ----------
    program : ExportedProgram

    Returns
    -------
    dict
        Node -> its value; tensors, or tuples of them. A masked weight such as ``weight_orig * weight_mask`` is one
        entry, whoever multiplied it: a pruning hook, a parametrization, the forward method or an autograd function.
    """
    known, constant = _lifted(program), constant_nodes(program)
    with torch.no_grad():
        for node in program.graph.nodes:
            if node.op == "call_function" and node in constant:
                with unforeseen(f"layer {layer_name(node)}: operator {node.target} on constants"):
                    known[node] = _evaluated(node, known)
    return known


def constant_nodes(program: ExportedProgram) -> set[fx.Node]:
    """Nodes that do not depend on the inputs: parameters, buffers, and what is computed of them alone.

    Tensors without elements are among them: they have no values.
    """
    known = set(_lifted(program))
    for node in program.graph.nodes:
        if node.op == "call_function" and _is_constant(node, known):
            known.add(node)
    return known


def _evaluated(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    if _is_empty(node):
        return _stand_in(node)
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: known[n] if n in known else _stand_in(n))
    return node.target(*args, **kwargs)


def _stand_in(node: fx.Node) -> torch.Tensor:
    """Any tensor of a node's shape and type."""
    value = node.meta["val"]
    return torch.empty(tuple(value.shape), dtype=value.dtype)


def _is_constant(node: fx.Node, known: set[fx.Node]) -> bool:
    if _is_empty(node):
        return True
    is_random = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and not _is_idle_dropout(node)
    sources = node.all_input_nodes
    if operator_name(node) in _FROM_SHAPES:
        sources = [source for source in sources if source is not node.args[0]]
    return not is_random and all(source in known for source in sources)


def _is_empty(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and any(isinstance(extent, int) and extent == 0 for extent in value.shape)


def _is_idle_dropout(node: fx.Node) -> bool:
    return operator_name(node) == "dropout" and not node.args[2]


def _lifted(program: ExportedProgram) -> dict[fx.Node, Any]:
    """Placeholders that stand for parameters, buffers and constant tensors."""
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    names.update(signature.inputs_to_lifted_tensor_constants)
    values = {**program.constants, **program.state_dict}
    return {
        node: values[names[node.name]].detach()
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in names
    }
