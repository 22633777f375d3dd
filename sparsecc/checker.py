"""Checks what every stage of a dumped compilation made: a broken pass shows itself, not a wrong number later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sparsecc._tvm import IRModule, relax
from sparsecc.analyse.plan import Plan
from sparsecc.build.check import check_program
from sparsecc.errors import InternalError, first_line
from sparsecc.importer import Imported
from sparsecc.ir.graph import Graph
from sparsecc.ir.operator import Operator
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.lower.lowered import Lowered
from sparsecc.rewrite.assemble import Assembled
from sparsecc.rewrite.chain import Joined
from sparsecc.rewrite.check_graph import graph_problems, number_problems
from sparsecc.rewrite.check_layouts import layout_problems
from sparsecc.rewrite.fuse import Fused
from sparsecc.rewrite.permute import Permuted

Shapes = list[tuple[int, ...]]


class Checker:
    """Watches the stages of one compilation; what earlier ones made says what is expected of later ones."""

    def __init__(self) -> None:
        self._module: IRModule | None = None
        self._plan: Plan | None = None
        self._ports: Shapes | None = None

    def __call__(self, stage: str, made: object) -> None:
        """Check what a stage made; see :data:`~sparsecc.stages.Watch`.

        Raises
        ------
        InternalError
            With the stage, and everything that is wrong.
        """
        check = self._checks().get(type(made))
        problems = [] if check is None else list(check(made))
        if problems:
            raise InternalError(f"{stage}: made a network that is broken: {'; '.join(problems)}; please report it")

    def _checks(self) -> Mapping[type, Callable[[Any], Iterator[str]]]:
        """Type of what a stage made -> its check; object code and the memory plan have their own."""
        return {
            Imported: lambda made: _relax(made.module),
            Plan: self._planned,
            Fused: lambda made: _relax(made.module),
            IRModule: self._legalized,
            Graph: self._graph,
            Permuted: self._permuted,
            Joined: lambda made: self._graph(made.graph),
            Placed: self._graph,
            list: _lowered,
            Assembled: _assembled,
        }

    def _planned(self, plan: Plan) -> Iterator[str]:
        self._plan = plan
        keys = [layer.key for layer in plan.layers]
        yield from (f"{key}: has several plans" for key in dict.fromkeys(keys) if keys.count(key) > 1)

    def _legalized(self, module: IRModule) -> Iterator[str]:
        self._module = module
        return _relax(module)

    def _permuted(self, made: Permuted) -> Iterator[str]:
        yield from self._planned(made.plan)
        yield from self._graph(made.graph)
        for tensor, order in made.orders.items():
            shape = made.graph.shapes[tensor]
            if order.shape != shape or sorted(order.order) != list(range(shape[order.axis])):
                yield f"t{tensor}: found {order}, expected every channel of {shape} once"

    def _graph(self, graph: Graph | Placed) -> Iterator[str]:
        unnumbered = list(number_problems(graph))
        if unnumbered:
            yield from unnumbered
            return
        yield from graph_problems(graph, self._module)
        yield from self._interface(graph)
        for node in graph.nodes:
            if self._plan is not None and _is_planned(node.operator) and node.key not in self._plans:
                yield f"{node.key}: has no plan"
        if isinstance(graph, Placed):
            yield from layout_problems(graph)

    def _interface(self, graph: Graph | Placed) -> Iterator[str]:
        """The caller's tensors stay as many, and of the same shapes."""
        ports = [graph.shapes[tensor] for tensor in (*graph.inputs, *graph.outputs)]
        if self._ports not in (None, ports):
            yield f"the caller: found tensors {ports}, expected {self._ports} as before"
        self._ports = ports

    @property
    def _plans(self) -> set[str]:
        return set() if self._plan is None else {layer.key for layer in self._plan.layers}


def _is_planned(operator: Operator) -> bool:
    """Whether a plan says how its weights are packed."""
    return operator.kernel in ("conv", "linear", "chain")


def _relax(module: IRModule) -> Iterator[str]:
    """TVM's own rules."""
    try:
        relax.analysis.well_formed(module)
    except ValueError as error:
        yield first_line(error)


def _lowered(steps: Sequence[tuple[PlacedNode, Lowered]]) -> Iterator[str]:
    """A kernel has as many arguments as parameters; those that are tensors are its node's, the output last."""
    for node, kernel in steps:
        given = kernel.arguments
        if len(given) != len(kernel.function.params):
            yield f"{node.key}: found {len(given)} arguments, expected {len(kernel.function.params)}"
        tensors, own = [a for a in given if isinstance(a, int)], {*node.inputs, node.output}
        if not set(tensors) <= own or tensors[-1:] != [node.output]:
            yield f"{node.key}: found tensors {tensors}, expected some of {sorted(own)}, {node.output} last"
        yield from (
            f"{node.key}: has a constant that is not contiguous"
            for a in given
            if not isinstance(a, int) and not a.flags.c_contiguous
        )


def _assembled(made: Assembled) -> Iterator[str]:
    """As before it is linked; and every kernel is there."""
    try:
        check_program(made.program)
    except InternalError as error:
        yield str(error)
    for step in made.program.steps:
        if step.symbol not in made.functions:
            yield f"{step.key}: found no kernel {step.symbol}"
