"""Plans of a network for patterns that it does not have yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sparsecc.advice.costs import Costs
from sparsecc.advice.structures import dense_structure, structure_of
from sparsecc.analyse.decide import decide, kind_of
from sparsecc.analyse.impose import Impose
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan
from sparsecc.analyse.structure import Structure
from sparsecc.analyse.winograd import with_winograd
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import ConvLayer
from sparsecc.records.scale import Scale, slower_than_predicted


@dataclass(frozen=True, eq=False)
class Planner:
    """Decides for a network's layers as the compiler would, without weights.

    Attributes
    ----------
    layers : tuple of ConvLayer
        In order.
    prunable : collection of str
        Names of those that get the pattern.
    costs : Costs
    min_speedup : float
    winograd : bool
        As in :func:`sparsecc.compile`.
    scale : Scale
        What corrects the cost model where sparse is compared with dense.
    """

    layers: tuple[ConvLayer, ...]
    prunable: Collection[str]
    costs: Costs
    min_speedup: float = 1.05
    winograd: bool = True
    scale: Scale = field(default_factory=lambda: Scale(1.0))

    def plan(self, impose: Impose | None) -> Plan:
        """Of the network with a pattern, or dense."""
        return Plan(tuple(self._layer(layer, impose) for layer in self.layers))

    def gain(self, spec: ConvSpec, structure: Structure | None) -> tuple[int, float] | None:
        """Tile and gain of Winograd's algorithm over the direct kernel with the same blocks, or all of them (None)."""
        return self.costs.winograd(spec, structure) if self.winograd else None

    def dense_cycles(self, spec: ConvSpec) -> float:
        """Of a dense layer by its faster algorithm."""
        _, faster = self.gain(spec, None) or (None, 1.0)
        return self.costs.layer(spec, None) / faster

    def speedup(self, spec: ConvSpec, structure: Structure) -> float:
        """Time of the dense layer over that of the sparse one, as the compiler sees it."""
        _, faster = self.gain(spec, structure) or (None, 1.0)
        sparse = self.costs.layer(spec, structure) * slower_than_predicted(self.scale, spec, structure) / faster
        return self.dense_cycles(spec) / max(sparse, 1.0)

    def _layer(self, layer: ConvLayer, impose: Impose | None) -> LayerPlan:
        spec, kind = layer.spec, kind_of(layer.spec)
        structure = None if kind == "depthwise" else dense_structure(spec)
        if impose is not None and structure is not None and layer.name in self.prunable:
            structure = structure_of(spec, impose)
        decision, reason, predicted = decide(
            spec, structure, kept_dense=False, min_speedup=self.min_speedup, speedup=self.speedup
        )
        plan = LayerPlan(layer.key, layer.name, kind, spec, structure, decision, reason, predicted)
        return with_winograd(plan, self.gain)
