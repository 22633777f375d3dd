"""Layers that several algorithms compute: measured whole, transforms and products together, before their kernels are.

The same is done again, with the configs that were found by then, for those algorithms that came close.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sparsecc.algorithms import Algorithms
from sparsecc.ir.graph import Graph
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.placed import PlacedNode
from sparsecc.ir.provenance import BY_SEARCH
from sparsecc.kernels.config import Config
from sparsecc.lower.algorithm import algorithm_of
from sparsecc.lower.choice import Choice, Choose, Chosen
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.lower.joining import Joining
from sparsecc.lower.table import KERNELS, lower
from sparsecc.pipeline import arrange, reorder
from sparsecc.rewrite.rewritten import Extracted, Rewritten
from sparsecc.rewrite.winograd import input_key, output_key
from sparsecc.target import Target
from sparsecc.tuning.state import TaskState
from sparsecc.tuning.tasks import Candidate, Data, KernelTask, Task, data_of, find_tasks

#: algorithms that take at most so many times the least time may be the fastest with better configs
_CLOSE = 1.25
#: of the last cache's bytes, what is touched so that nothing of a layer stays there: it may be shared, or larger
_TWICE = 2


@dataclass(frozen=True, eq=False)
class Way:
    """A network in which every layer that can be is computed by one algorithm."""

    graph: Graph
    made: Rewritten

    def nodes(self, key: str) -> tuple[PlacedNode, ...]:
        """Nodes that compute a layer: copies that nobody else needs, and its kernels."""
        nodes = self.made.placed.nodes
        own = [node for node in nodes if node.key in (input_key(key), key, output_key(key))]
        wanted = Counter(tensor for node in own for tensor in node.inputs)
        readers = Counter(tensor for node in nodes for tensor in node.inputs)
        copies = [n for n in nodes if n.operator.is_copy and 0 < wanted[n.output] == readers[n.output]]
        return (*copies, *own)

    def data(self, key: str) -> Data:
        """Random inputs of a layer, and its result for them."""
        operator = next(node.operator for node in self.graph.nodes if node.key == key)
        nodes = self.nodes(key)
        first, last = next(node for node in nodes if not node.operator.is_copy), nodes[-1]
        source = {node.output: node.inputs[0] for node in nodes if node.operator.is_copy}
        tensors = [source.get(tensor, tensor) for tensor in (first.inputs[0], *last.inputs[1:])]
        reference = KERNELS[operator.kernel].reference
        return data_of(
            self.made.placed, tensors, last.output, lambda inputs: reference(operator, self.made.module, inputs)
        )


@dataclass(eq=False)
class Ways:
    """The network by each algorithm, made when it is asked for."""

    network: Extracted
    decider: Algorithms
    target: Target
    _made: dict[AlgorithmConfig, Way] = field(default_factory=dict)

    def of(self, config: AlgorithmConfig) -> Way:
        """Where ``config`` computes whatever it can."""
        if config not in self._made:
            keys = {key: config for key, choice in self.decider.choices().items() if config in choice.space()}
            plan = self.decider.computed_by(self.decider.plan(), keys, BY_SEARCH)
            network, plan = reorder(self.network, plan)
            apart = Joining(False, BY_SEARCH)
            made = arrange(network, plan, self.target, decide=lambda chain, layer: apart)
            self._made[config] = Way(network.graph, made)
        return self._made[config]

    @cached_property
    def flush_bytes(self) -> int:
        """What is touched between two calls: where the network's weights come from memory, a layer's do, too."""
        stay = self.decider.direct_bytes <= self.target.l3_bytes
        return self.target.l2_bytes if stay else _TWICE * self.target.l3_bytes


@dataclass(frozen=True, eq=False)
class AlgorithmTask(Task):
    """A layer, to be computed by one algorithm or another.

    Attributes
    ----------
    ways : Ways
    choose : callable
        Chooses the configs of its kernels.
    """

    ways: Ways
    choose: Choose

    @property
    def flush_bytes(self) -> int:
        """See :class:`~sparsecc.tuning.tasks.Task`."""
        return self.ways.flush_bytes

    def candidate(self, config: Config) -> Candidate:
        """See :class:`~sparsecc.tuning.tasks.Task`."""
        way = self._way(config)
        plans = {layer.key: layer for layer in way.made.plan.layers}
        placed, module = way.made.placed, way.made.module
        steps = (
            (node, lower(node, placed, module, plans, self.target, self.choose)) for node in way.nodes(self.names[0])
        )
        return Candidate(tuple(steps), placed, way.data(self.names[0]))

    def kernels(self, config: Config) -> list[KernelTask]:
        """Kernels with knobs that an algorithm needs."""
        made = self._way(config).made
        nodes = self._way(config).nodes(self.names[0])
        part = replace(made, placed=replace(made.placed, nodes=nodes))
        return find_tasks(part, self.target)

    def _way(self, config: Config) -> Way:
        return self.ways.of(algorithm_of(config))


def find_algorithms(network: Extracted, decider: Algorithms, target: Target, choose: Choose) -> list[AlgorithmTask]:
    """Layers of a network that several algorithms compute, in its order; equal ones are one task."""
    ways = Ways(network, decider, target)
    found: dict[LayerKey, tuple[Choice, list[str]]] = {}
    for key, choice in decider.choices().items():
        found.setdefault(choice.key, (choice, []))[1].append(key)
    return [AlgorithmTask(choice, tuple(names), target, ways, choose) for choice, names in found.values()]


def as_measured(states: Sequence[TaskState], otherwise: Choose) -> Choose:
    """Chooses what a search found, and for layers that it did not reach what another one would."""
    best = {state.task.key: state.best for state in states if state.timings}

    def choose(choice: Choice) -> Chosen:
        if choice.key in best:
            return Chosen(choice, best[choice.key], BY_SEARCH)
        return otherwise(choice)

    return choose


def with_configs(task: Task, choose: Choose) -> Task:
    """The same layer, its kernels with other configs."""
    assert isinstance(task, AlgorithmTask), "a layer"
    return replace(task, choose=choose)


def close_ones(state: TaskState) -> list[Config]:
    """Algorithms that were measured and came close to the fastest, that one first."""
    ranked = state.ranked()
    return [c for c in ranked if state.timings[c].relative <= _CLOSE * state.timings[ranked[0]].relative]


def rivals_of(states: Sequence[TaskState], known: Sequence[Task]) -> list[KernelTask]:
    """Kernels of the algorithms that came close, without those that are to be searched anyway."""
    keys = {task.key for task in known}
    found: dict[LayerKey, KernelTask] = {}
    for state in states:
        assert isinstance(state.task, AlgorithmTask), "a layer"
        for config in close_ones(state):
            found |= {task.key: task for task in state.task.kernels(config) if task.key not in keys}
    return list(found.values())
