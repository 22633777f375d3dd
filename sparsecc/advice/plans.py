"""Plans of a network for patterns that it does not have yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

from sparsecc.advice.costs import Costs
from sparsecc.advice.structures import dense_structure, structure_of
from sparsecc.algorithms import Algorithms
from sparsecc.analyse.decide import kind_of
from sparsecc.analyse.impose import Impose
from sparsecc.analyse.layers import FoundLayer
from sparsecc.analyse.plan import Plan
from sparsecc.analyse.structure import Structure
from sparsecc.ir.layer import ConvLayer
from sparsecc.lower.choice import Choose, by_cost_model
from sparsecc.options import Options
from sparsecc.target.records.scale import Scale, slower_than_predicted


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
    options : Options
        As in :func:`sparsecc.compile`.
    scale : Scale
        What corrects the cost model where sparse is compared with dense.
    choose : callable
        Knows the records.
    """

    layers: tuple[ConvLayer, ...]
    prunable: Collection[str]
    costs: Costs
    options: Options = field(default_factory=Options)
    scale: Scale = field(default_factory=lambda: Scale(1.0))
    choose: Choose = by_cost_model

    def plan(self, impose: Impose | None) -> Plan:
        """Of the network with a pattern, or dense."""
        layers = [self._layer(layer, impose) for layer in self.layers]
        decider = Algorithms(
            layers, self.costs.target, self.options, slower=partial(slower_than_predicted, self.scale),
            prices=self.costs.prices,
        )  # fmt: skip
        return decider.plan(self.choose)

    def cycles(self, layer: ConvLayer, structure: Structure | None) -> float:
        """Of a layer by itself with some blocks, or dense (None), by its faster algorithm."""
        return self.cycles_by(layer, structure, self.tile(layer, structure))

    def cycles_by(self, layer: ConvLayer, structure: Structure | None, tile: int | None) -> float:
        """The same with tiles of that side, or with the direct kernel (None)."""
        if has_codes(layer):
            return self.costs.codes(layer.spec, structure)
        return self.costs.prices.cycles(layer.spec, structure, tile)

    def tile(self, layer: ConvLayer, structure: Structure | None) -> int | None:
        """Side of its tiles; None for the direct kernel, which is the only one that codes have."""
        spec = layer.spec
        if has_codes(layer):
            return None
        tile, _ = (self.costs.winograd(spec, structure) if self.options.winograd else None) or (None, 1.0)
        return tile

    def _layer(self, layer: ConvLayer, impose: Impose | None) -> FoundLayer:
        spec, kind = layer.spec, kind_of(layer.spec)
        structure = None if kind == "depthwise" else dense_structure(spec)
        if impose is not None and structure is not None and layer.name in self.prunable:
            structure = structure_of(spec, impose)
        return FoundLayer(layer.key, layer.name, kind, spec, structure, layer.removed, has_codes(layer))


def has_codes(layer: ConvLayer) -> bool:
    """Whether a layer's weights are codes of 8 bits, which have kernels and a cost model of their own."""
    return layer.scales is not None
