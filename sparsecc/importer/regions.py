"""Parts of a program that PyTorch keeps in graphs of their own because gradients or autocast change there."""

from __future__ import annotations

import copy
import operator
from typing import Any

from torch import fx
from torch.export import ExportedProgram

from sparsecc.importer.programs import rebuilt

#: operators that run a graph of their own, and compute what it computes -> where their arguments have it
_REGIONS = {"wrap_with_set_grad_enabled": 1, "wrap_with_autocast": 4}
#: argument of a region of autocast that says whether types change in it
_AUTOCAST_ENABLED = 2


def without_regions(program: ExportedProgram) -> ExportedProgram:
    """The program with the inside of ``with torch.no_grad():`` and the like in its place.

    Before::

        y = wrap_with_set_grad_enabled(True, submod_1, x)

    After::

        y = relu(x)

    Regions in which autocast changes types stay.
    """
    if not any(_region(node) is not None for node in program.graph.nodes):
        return program
    module = copy.deepcopy(program.graph_module)
    _inline_all(module)
    return rebuilt(program, module=module)


def _region(node: fx.Node) -> int | None:
    """Where the arguments of a region have its graph; None for other nodes."""
    name = getattr(node.target, "__name__", "") if node.op == "call_function" else ""
    if name == "wrap_with_autocast" and node.args[_AUTOCAST_ENABLED]:
        return None
    return _REGIONS.get(name)


def _inline_all(module: fx.GraphModule) -> None:
    for node in list(module.graph.nodes):
        place = _region(node)
        if place is not None:
            holder: Any = node.args[place]
            body = getattr(module, holder.target)
            _inline_all(body)
            _inline(module, node, body, node.args[place + 1 :])
            if not holder.users:
                module.graph.erase_node(holder)
    module.recompile()


def _inline(module: fx.GraphModule, region: fx.Node, body: fx.GraphModule, operands: Any) -> None:
    """Put the nodes of ``body`` in the place of one node."""
    known: dict[fx.Node, Any] = dict(zip(body.graph.find_nodes(op="placeholder"), operands, strict=True))
    with module.graph.inserting_before(region):
        for node in body.graph.nodes:
            if node.op == "get_attr":
                known[node] = module.graph.get_attr(_adopt(module, getattr(body, node.target)))
            elif node.op not in ("placeholder", "output"):
                known[node] = module.graph.node_copy(node, lambda inner: known[inner])
    results = fx.node.map_arg(body.graph.output_node().args[0], lambda inner: known[inner])
    if isinstance(results, fx.Node):
        region.replace_all_uses_with(results)
    for user in list(region.users):
        assert user.target is operator.getitem, "several results are read one by one"
        user.replace_all_uses_with(results[user.args[1]])
        module.graph.erase_node(user)
    module.graph.erase_node(region)


def _adopt(module: fx.GraphModule, inner: Any) -> str:
    """Give a graph that a region had to the whole program, under a name that is free."""
    name = next(name for i in range(10**6) if not hasattr(module, name := f"region_{i}"))
    setattr(module, name, inner)
    return name
