"""Pairs of kernels that may become one: measured as one and as two before the kernels themselves are searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sparsecc._tvm import IRModule
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan
from sparsecc.ir.graph import Chain
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.provenance import BY_SEARCH
from sparsecc.kernels.config import Config
from sparsecc.lower.choice import Choice, Choose
from sparsecc.lower.join import JOINED, join_choice
from sparsecc.lower.joining import Joining
from sparsecc.lower.table import KERNELS, lower
from sparsecc.pipeline import arrange
from sparsecc.rewrite.rewritten import Extracted, Rewritten
from sparsecc.target import Target
from sparsecc.tuning.tasks import Candidate, Data, Task, data_of


@dataclass(frozen=True, eq=False)
class Side:
    """One of both ways to compute a pair: its nodes in a network that is laid out that way.

    ``nodes`` are the chain; or the convolution, copies of its result to another layout, and the window kernel.
    """

    placed: Placed
    module: IRModule
    nodes: tuple[PlacedNode, ...]
    chain: Chain

    @cached_property
    def data(self) -> Data:
        """Random input of the convolution, and the window kernel's result for it."""
        first, last = self.nodes[0], self.nodes[-1]
        row = KERNELS[self.chain.kernel]
        return data_of(
            self.placed, first.inputs, last.output, lambda inputs: row.reference(self.chain, self.module, inputs)
        )


@dataclass(frozen=True, eq=False)
class JoinTask(Task):
    """A pair, to be computed by one kernel or by two.

    Attributes
    ----------
    joined, apart : Side
    plans : mapping of str to LayerPlan
    choose : callable
        Chooses the configs of its kernels.
    """

    joined: Side
    apart: Side
    plans: Mapping[str, LayerPlan]
    choose: Choose

    def candidate(self, config: Config) -> Candidate:
        """See :class:`~sparsecc.tuning.tasks.Task`."""
        side = self.joined if config == JOINED else self.apart
        steps = (
            (node, lower(node, side.placed, side.module, self.plans, self.target, self.choose)) for node in side.nodes
        )
        return Candidate(tuple(steps), side.placed, side.data)


def find_joins(network: Extracted, plan: Plan, target: Target, choose: Choose) -> list[JoinTask]:
    """Pairs of a network, in its order; equal ones are one task."""
    plans = {layer.key: layer for layer in plan.layers}
    joined = arrange(network, plan, target, decide=lambda chain, layer: Joining(True, BY_SEARCH))
    apart = arrange(network, plan, target, decide=lambda chain, layer: Joining(False, BY_SEARCH))
    pairs: dict[LayerKey, tuple[Choice, Chain, list[str]]] = {}
    for node in joined.placed.nodes:
        if isinstance(node.operator, Chain):
            choice = join_choice(node.operator, plans[node.key], target)
            pairs.setdefault(choice.key, (choice, node.operator, []))[2].append(node.key)
    return [
        JoinTask(
            choice, tuple(names), target, _side(joined, chain, names[0]), _side(apart, chain, names[0]), plans, choose
        )
        for choice, chain, names in pairs.values()
    ]


def _side(made: Rewritten, chain: Chain, key: str) -> Side:
    """Where a pair's kernels are in a network; ``key`` is the convolution's."""
    nodes = made.placed.nodes
    first = next(i for i, node in enumerate(nodes) if node.key == key)
    if nodes[first].operator.joined:
        return Side(made.placed, made.module, (nodes[first],), chain)
    last = next(i for i, node in enumerate(nodes) if node.key == chain.window_key)
    copies = [n for n in nodes[first:last] if n.operator.is_copy and n.output == nodes[last].inputs[0]]
    return Side(made.placed, made.module, (nodes[first], *copies, nodes[last]), chain)
