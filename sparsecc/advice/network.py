"""A network whose speed is predicted for patterns that it does not have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.advice.costs import Costs
from sparsecc.advice.plans import Planner
from sparsecc.advice.steps import StepCost, network_steps
from sparsecc.analyse.impose import Impose
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan
from sparsecc.importer import Imported
from sparsecc.importer.impose import prunable_layers
from sparsecc.ir.graph import Chain
from sparsecc.ir.layer import ConvLayer, convolutions
from sparsecc.ir.winograd import TAPS
from sparsecc.lower.choice import Choose, by_cost_model
from sparsecc.lower.join import as_chosen
from sparsecc.lower.joining import Joining
from sparsecc.options import Options
from sparsecc.pipeline import arrange, decision_scale, extract
from sparsecc.rewrite.rewritten import Rewritten
from sparsecc.target import Target
from sparsecc.target.records.lookup import Records


class Network:
    """Predicts the steps of a network with any pattern; what does not depend on it is done once.

    Attributes
    ----------
    planner : Planner
        Decides for its layers.
    layers : dict of str to tuple of ConvLayer
        Name of a layer that can be pruned -> its calls, several for one that is used several times.
    choose : callable
        Knows the records.

    Algorithms are chosen and kernels joined as ``records`` say, by default as the cost model does.
    """

    def __init__(
        self, imported: Imported, target: Target, options: Options, *, cpu: str | None = None,
        records: Records | None = None,
    ) -> None:  # fmt: skip
        convs = tuple(convolutions(imported.layers.values()))
        names = dict.fromkeys(layer.name for layer in prunable_layers(imported.program))
        self.layers = {name: tuple(layer for layer in convs if layer.name == name) for name in names}
        self.choose: Choose = by_cost_model if records is None else partial(records.choose, threads=1)
        self.planner = self.planner_of(convs, names, target, options, cpu=cpu, choose=self.choose)
        self._network = extract(imported)
        self._joins = as_chosen(self.choose, target)
        self._steps: dict[Impose | None, tuple[StepCost, ...]] = {}

    @staticmethod
    def planner_of(
        layers: Sequence[ConvLayer],
        prunable: Collection[str],
        target: Target,
        options: Options,
        *,
        cpu: str | None = None,
        choose: Choose = by_cost_model,
    ) -> Planner:
        """Who decides for some layers, on one processor where ``cpu`` names it."""
        scale = decision_scale(target, options, cpu=cpu)
        return Planner(tuple(layers), frozenset(prunable), Costs(target), options, scale, choose)

    def steps(self, impose: Impose | None) -> Sequence[StepCost]:
        """Steps of the network with a pattern on its prunable layers, or dense (None), on one core."""
        if impose not in self._steps:
            self._steps[impose] = self.steps_of(self.planner.plan(impose))
        return self._steps[impose]

    def steps_of(self, plan: Plan) -> tuple[StepCost, ...]:
        """Steps of the network with any plan."""
        made = self._arranged(plan)
        return tuple(network_steps(made, {layer.key: layer for layer in made.plan.layers}, self.planner.costs))

    def rewritten(self, impose: Impose | None) -> Rewritten:
        """The network as it would be compiled with a pattern, but for its weights."""
        return self._arranged(self.planner.plan(impose))

    def _arranged(self, plan: Plan) -> Rewritten:
        target = self.planner.costs.target
        return arrange(self._network, plan, target, decide=self._decide, transform=_no_weights)

    def _decide(self, chain: Chain, plan: LayerPlan) -> Joining:
        return self.planner.costs.joining(chain, plan, self._joins)


def _no_weights(weight: NDArray[Any], m: int) -> NDArray[np.float32]:
    """Stands for the transformed weights: only their shape matters here."""
    oc, ic = weight.shape[:2]
    side = m + TAPS - 1
    return np.broadcast_to(np.float32(0), (side * side * oc, ic, 1, 1))
