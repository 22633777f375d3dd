"""What is computed of the elements that a mask selects, and written back where it is true.

How many there are is known only when the network runs. Elementwise operators may as well compute all elements, of which
those that the mask selects are written.
"""

from __future__ import annotations

import copy
import math
import operator
from typing import Any, NamedTuple

import torch
from torch import fx
from torch.export import ExportedProgram

from sparsecc.importer.arguments import arguments, operator_name, result_shape
from sparsecc.importer.constants import constant_nodes
from sparsecc.importer.export import run_decompositions
from sparsecc.importer.known_shapes import depends_on_values, gives_places, is_mask
from sparsecc.importer.programs import rebuilt

_ATEN = torch.ops.aten
#: elementwise operators without PyTorch's tag for these; those that only look at a tensor's shape and type are, too
_ELEMENTWISE = frozenset(
    {
        "_to_copy", "alias", "contiguous", "detach", "lift_fresh_copy", "hardswish", "hardsigmoid", "full_like",
        "ones_like", "zeros_like",
    }
)  # fmt: skip
_READS = ("index", "_unsafe_index")


class Selection(NamedTuple):
    """Elements that a mask selects, along one axis of a tensor.

    Attributes
    ----------
    mask : int
        Number of the mask's value.
    extents : tuple of int
        Shape of the mask.
    after : int
        Axes behind that of the selected elements.
    """

    mask: int
    extents: tuple[int, ...]
    after: int


def without_selections(program: ExportedProgram) -> ExportedProgram:
    """The program with choices in the place of writes to selected elements; what else selects is left.

    Before::

        s = index(x, [mask])                        (u0)
        y = index_put(x, [mask], exp(s) + 1)        (2, 3)

    After::

        y = where(mask, exp(x) + 1, x)
    """
    constants = {node.name for node in constant_nodes(program)}
    if not any(_masks(node, constants) for node in program.graph.nodes if operator_name(node) == "index_put"):
        return program
    module = copy.deepcopy(program.graph_module)
    _Rewrite(module.graph, constants).replace_all()
    module.recompile()
    return run_decompositions(rebuilt(program, module=module), {})


def _masks(node: fx.Node, constants: set[str]) -> list[fx.Node]:
    """Masks that are no constants among the indices of a node."""
    return [index for index in _indices(node) if is_mask(index) and index.name not in constants]


def _indices(node: fx.Node) -> list[Any]:
    """Indices of ``index`` and ``index_put``, with a mask for the places where it is true."""
    found, given = list[Any](), list(node.args[1])
    while given:
        mask = _mask_of_places(given)
        found.append(given[0] if mask is None else mask)
        del given[: 1 if mask is None else mask.meta["val"].ndim]
    return found


def _mask_of_places(indices: list[Any]) -> fx.Node | None:
    """The mask whose places are the next indices."""
    mask = _mask_of_place(indices[0])
    if mask is None:
        return None
    source, count = indices[0].args[0], len(result_shape(mask))
    places = [index.args if isinstance(index, fx.Node) else None for index in indices[:count]]
    return mask if places == [(source, axis) for axis in range(count)] else None


def _mask_of_place(index: Any) -> fx.Node | None:
    """The mask of whose places, axis by axis, this is one."""
    if not isinstance(index, fx.Node) or index.target is not operator.getitem:
        return None
    source: Any = index.args[0]
    return source.args[0] if gives_places(source) and is_mask(source.args[0]) else None


class _Rewrite:
    """Replaces what is computed of selected elements in one graph."""

    def __init__(self, graph: fx.Graph, constants: set[str]) -> None:
        self.graph = graph
        self._constants = constants
        self._numbers = _value_numbers(graph)
        self._selected: dict[fx.Node, Selection] = {}
        self._all: dict[fx.Node, fx.Node] = {}

    def replace_all(self) -> None:
        for node in list(self.graph.nodes):
            if operator_name(node) == "index_put":
                self._replace_write(node)
            else:
                self._meet(node)
        self._drop_assertions()
        self.graph.eliminate_dead_code()

    def _meet(self, node: fx.Node) -> None:
        """Take note of a node that gives selected elements, and of what all of them are."""
        if operator_name(node) in _READS:
            self._meet_index(node)
        elif _is_elementwise(node):
            self._meet_elementwise(node)

    def _meet_index(self, node: fx.Node) -> None:
        found = self._selection(node)
        if found is not None:
            self._selected[node], self._all[node] = found, node.args[0]

    def _meet_elementwise(self, node: fx.Node) -> None:
        operands = node.all_input_nodes
        found = {self._selected[operand] for operand in operands if operand in self._selected}
        if len(found) != 1:
            return
        selection = found.pop()
        if not all(operand in self._selected or _is_same_for_all(operand, selection) for operand in operands):
            return
        self._selected[node] = selection
        with self.graph.inserting_before(node):
            known = {operand: self._for_all(operand, selection) for operand in operands}
            self._all[node] = self.graph.node_copy(node, known.__getitem__)

    def _selection(self, node: fx.Node) -> Selection | None:
        """What a mask selects as the only index of ``index`` or ``index_put``."""
        indices, masks = _indices(node), _masks(node, self._constants)
        is_alone = len(masks) == 1 and all(index is None or index is masks[0] for index in indices)
        if not is_alone or depends_on_values(node.args[0].meta.get("val")):
            return None
        own = result_shape(masks[0])
        return Selection(
            self._numbers[masks[0]], own, len(result_shape(node.args[0])) - indices.index(masks[0]) - len(own)
        )

    def _replace_write(self, node: fx.Node) -> None:
        x, _, values, adds = arguments(node, 4, [None, None, None, False])
        found = self._selection(node)
        if found is None or not (self._selected.get(values) == found or _is_same_for_all(values, found)):
            return
        (mask,) = _masks(node, self._constants)
        with self.graph.inserting_before(node):
            new = self._for_all(values, found)
            new = self._call(node, _ATEN.add.Tensor, x, new) if adds else new
            spread = self._reshaped(mask, (*found.extents, *(1 for _ in range(found.after))))
            result = self._call(node, _ATEN.where.self, spread, new, x)
        self._numbers[result] = self._numbers[node]
        node.replace_all_uses_with(result)
        self.graph.erase_node(node)

    def _for_all(self, operand: fx.Node, selection: Selection) -> fx.Node:
        """An operand as it is for all elements: the axis of the selected ones becomes those of the mask."""
        if operand in self._all:
            return self._all[operand]
        shape = result_shape(operand)
        if len(shape) <= selection.after:
            return operand
        end = len(shape) - selection.after
        return self._reshaped(operand, (*shape[: end - 1], *(1 for _ in selection.extents), *shape[end:]))

    def _reshaped(self, x: fx.Node, shape: tuple[int, ...]) -> fx.Node:
        return x if result_shape(x) == shape else self._call(x, _ATEN.reshape.default, x, list(shape))

    def _call(self, like: fx.Node, target: Any, *args: Any) -> fx.Node:
        """A new node of the same layer; what shape it has is found when the program is traced again."""
        new = self.graph.call_function(target, args)
        new.meta = {key: value for key, value in like.meta.items() if key != "unbacked_bindings"}
        return new

    def _drop_assertions(self) -> None:
        """What the exporter asserts of numbers of selected elements: that they are from 0 to all, and equal."""
        for node in self.graph.find_nodes(op="call_function", target=_ATEN._assert_scalar.default):
            condition = node.args[0]
            operands = condition.args if isinstance(condition, fx.Node) else ()
            counts = {operand: self._count(operand) for operand in operands if isinstance(operand, fx.Node)}
            found = set(counts.values())
            if len(found) != 1 or None in found:
                continue
            most = max(most for count in found if count is not None for most in count[1:])
            of = [[count if operand in counts else operand for operand in operands] for count in (0, most)]
            if all(condition.target(*given) is True for given in of):
                self.graph.erase_node(node)

    def _count(self, size: fx.Node) -> tuple[int, int] | None:
        """Number of the mask whose selected elements are counted, and the most there may be; None for other sizes."""
        if operator_name(size) != "sym_size":
            return None
        tensor = size.args[0]
        if tensor in self._selected:
            selection = self._selected[tensor]
            return selection.mask, math.prod(selection.extents)
        mask = _mask_of_place(tensor)
        return None if mask is None else (self._numbers[mask], math.prod(result_shape(mask)))


def _is_elementwise(node: fx.Node) -> bool:
    is_tagged = torch.Tag.pointwise in getattr(node.target, "tags", ())
    return (is_tagged or operator_name(node) in _ELEMENTWISE) and not _is_random(node)


def _is_random(node: fx.Node) -> bool:
    return bool(torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()))


def _is_same_for_all(operand: fx.Node, selection: Selection) -> bool:
    """True for a tensor that has one extent along the axis of the selected elements, or no such axis."""
    value = operand.meta.get("val")
    if not isinstance(value, torch.Tensor) or depends_on_values(value):
        return False
    return bool(value.ndim <= selection.after or value.shape[-1 - selection.after] == 1)


def _value_numbers(graph: fx.Graph) -> dict[fx.Node, int]:
    """A number for every node, the same for nodes that compute the same of the same."""
    numbers: dict[fx.Node, int] = {}
    known: dict[str, int] = {}
    for node in graph.nodes:
        args = fx.node.map_arg((node.args, node.kwargs), lambda n: f"%{numbers[n]}")
        is_pure = node.op == "call_function" and not _is_random(node)
        numbers[node] = known.setdefault(f"{node.target} {args}" if is_pure else node.name, len(numbers))
    return numbers
