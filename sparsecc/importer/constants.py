"""Everything in a graph that does not depend on its inputs, computed once: this resolves masks of every form."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from sparsecc.importer.arguments import operator_name

#: operators whose result depends on the shape of their operand only
_FROM_SHAPES = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"})


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
    known = _lifted(program)
    with torch.no_grad():
        for node in program.graph.nodes:
            if node.op == "call_function" and (_is_constant(node, known) or operator_name(node) in _FROM_SHAPES):
                args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: _value(n, known))
                known[node] = node.target(*args, **kwargs)
    return known


def _value(node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    """A known value, or any tensor of that shape."""
    return known[node] if node in known else torch.empty(tuple(node.meta["val"].shape))


def _is_constant(node: fx.Node, known: dict[fx.Node, Any]) -> bool:
    is_random = torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()) and not _is_idle_dropout(node)
    return not is_random and all(source in known for source in node.all_input_nodes)


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
