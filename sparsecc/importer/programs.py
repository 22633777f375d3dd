"""Exported programs made from others."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import fx
from torch.export import ExportedProgram


def rebuilt(
    program: ExportedProgram,
    *,
    module: fx.GraphModule | None = None,
    signature: Any = None,
    state: Mapping[str, Any] | None = None,
    constants: Mapping[str, Any] | None = None,
) -> ExportedProgram:
    """A program like another one, but for what is given; the other one stays as it is.

    Nodes of ``module`` that give its results may have other names than before.
    """
    used = program.graph_module if module is None else module
    return ExportedProgram(
        used,
        used.graph,
        _with_results(program, used.graph, program.graph_signature if signature is None else signature),
        program.state_dict if state is None else dict(state),
        program.range_constraints,
        program.module_call_graph,
        program.example_inputs,
        program.constants if constants is None else dict(constants),
        verifiers=program.verifiers,
    )


def _with_results(program: ExportedProgram, graph: fx.Graph, signature: Any) -> Any:
    """The signature with the names of the nodes that now give the program's results."""
    pairs = zip(program.graph.output_node().args[0], graph.output_node().args[0], strict=True)
    names = {old.name: new.name for old, new in pairs if isinstance(new, fx.Node) and new.name != old.name}
    if not names:
        return signature
    renamed = copy.deepcopy(signature)
    for old, new in names.items():
        renamed.replace_all_uses(old, new)
    return renamed
