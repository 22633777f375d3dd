"""Shapes that depend on values, where those are constants: ``x[:, mask]`` with a mask that is a buffer."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument

from sparsecc.importer.arguments import operator_name
from sparsecc.importer.constants import fold_constants
from sparsecc.importer.export import run_decompositions
from sparsecc.importer.programs import rebuilt

#: operators whose second argument is a list of indices
INDEXED = ("index", "_unsafe_index", "index_put", "_unsafe_index_put")
_NUMBERS = (torch.SymInt, torch.SymFloat, torch.SymBool)


def depends_on_values(value: Any) -> bool:
    """True for what a node is said to compute, where its shape, or a number, is known only when the program runs."""
    if isinstance(value, torch.Tensor):
        return any(not isinstance(extent, int) for extent in value.shape)
    return isinstance(value, _NUMBERS)


def is_mask(node: Any) -> bool:
    """True for a node whose result says by its truth values what is meant."""
    return isinstance(node, fx.Node) and getattr(node.meta.get("val"), "dtype", None) is torch.bool


def gives_places(node: Any) -> bool:
    """True for what gives the places where its operand is true, one tensor for each axis."""
    return operator_name(node) == "nonzero_numpy" or (operator_name(node) == "where" and len(node.args) == 1)


def with_known_shapes(program: ExportedProgram) -> ExportedProgram:
    """The program with every shape fixed that follows from constants.

    Before::

        y = index(x, [None, mask])                  (2, u0)

    After::

        y = index(x, [None, known_0])               (2, 3), as the mask, a constant, is true three times
    """
    if not any(depends_on_values(node.meta.get("val")) for node in program.graph.nodes):
        return program
    rewrite = _Rewrite(program)
    rewrite.replace_all()
    return run_decompositions(rewrite.result(), {})


class _Rewrite:
    """A copy of a program in which values of constants take the place of what computes them."""

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.module = copy.deepcopy(program.graph_module)
        self.signature = copy.deepcopy(program.graph_signature)
        self.constants = dict(program.constants)
        by_name = {node.name: node for node in self.module.graph.nodes}
        self.known = {by_name[node.name]: value for node, value in fold_constants(program).items()}
        self._dynamic: set[fx.Node] = set()

    def replace_all(self) -> None:
        """Let no shape and no number follow from constants any more."""
        for node in list(self.module.graph.nodes):
            if node.op != "call_function":
                continue
            if node in self.known and node.target is torch.ops.aten._assert_scalar.default:
                self.module.graph.erase_node(node)  # it held when constants were computed
            elif node in self.known:
                self._meet_constant(node)
            elif operator_name(node) in INDEXED:
                node.args = (node.args[0], self._places(node.args[1]), *node.args[2:])
        self.module.graph.eliminate_dead_code()

    def _meet_constant(self, node: fx.Node) -> None:
        # what the exporter says of its shape may rest on what was known of the mask elsewhere, and is forgotten
        is_dynamic = torch.Tag.dynamic_output_shape in getattr(node.target, "tags", ())
        if is_dynamic or gives_places(node) or any(source in self._dynamic for source in node.all_input_nodes):
            self._dynamic.add(node)
        if node in self._dynamic or depends_on_values(node.meta.get("val")):
            self._replace(node, self.known[node])

    def _replace(self, node: fx.Node, value: Any) -> None:
        """Let the operators that are no constants themselves read the value."""
        users = [user for user in node.users if user not in self.known]
        if not users or isinstance(value, list | tuple):  # of several each is read by a node of its own
            return
        new = self._lifted(value) if isinstance(value, torch.Tensor) else value
        for user in users:
            user.args = fx.node.map_arg(user.args, lambda n: new if n is node else n)
            user.kwargs = fx.node.map_arg(user.kwargs, lambda n: new if n is node else n)

    def _places(self, indices: Any) -> list[Any]:
        """Indices with the places where constant masks are true instead of these."""
        found: list[Any] = []
        for index in indices:
            if index in self.known and is_mask(index):
                found += map(self._lifted, torch.unbind(self.known[index].nonzero(), 1))
            else:
                found.append(index)
        return found

    def _lifted(self, value: torch.Tensor) -> fx.Node:
        """A new constant of the program."""
        specs, nodes = self.signature.input_specs, self.module.graph.find_nodes(op="placeholder")
        at = next((i for i, spec in enumerate(specs) if spec.kind is InputKind.USER_INPUT), len(specs))
        taken = {node.name for node in self.module.graph.nodes} | set(self.constants)
        name = next(name for i in range(len(taken) + 1) if (name := f"known_{i}") not in taken)
        with self.module.graph.inserting_before(nodes[at]):
            node = self.module.graph.placeholder(name)
        mode = nodes[at].meta["val"].fake_mode
        node.meta["val"] = mode.from_tensor(value, static_shapes=True)
        specs.insert(at, InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(node.name), node.name))
        self.constants[node.name] = value
        self.known[node] = value
        return node

    def result(self) -> ExportedProgram:
        """The program, with shapes as the exporter knew them."""
        self.module.recompile()
        return rebuilt(self.program, module=self.module, signature=self.signature, constants=self.constants)
