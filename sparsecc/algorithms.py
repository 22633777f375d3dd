"""Which algorithm computes each layer, direct or Winograd's, dense or sparse: compile, tune and advise ask here.

First the cost model decides, layer by layer; records of measurements stand in its place. Then the whole network is
looked at: weights that do not stay in the last cache together come from memory, so that small ones are worth more, and
``max_growth`` and a board's memory may leave no room for large ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sparsecc.analyse.layers import FoundLayer, LayerPlan
from sparsecc.analyse.plan import Plan, kept_dense, plan_layers
from sparsecc.analyse.room import within
from sparsecc.analyse.structure import Structure
from sparsecc.analyse.winograd import is_open, with_tile, without_tile
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.provenance import Provenance
from sparsecc.ir.winograd import POINTS, Tiling, suits
from sparsecc.ir.winograd_conv import suits_at_once
from sparsecc.lower.algorithm import algorithm_choice, algorithm_of
from sparsecc.lower.choice import Choice, Choose, by_cost_model
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.lower.cost.algorithm import Prices, blocks_of, fetch_cycles
from sparsecc.lower.cost.winograd import winograd_gain
from sparsecc.lower.int8.price import coded_cycles
from sparsecc.options import MIN_SPEEDUP, Options
from sparsecc.target import Target

#: measured over predicted time of a sparse convolution, relative to that of the dense one
Slower = Callable[[ConvSpec, Structure], float]
#: bytes of all weights of a network where one layer is looked at alone
_ALONE = 0.0
#: the same where each byte more comes from memory
_NONE_STAYS = math.inf


class Algorithms:
    """Decides for a network's layers.

    Parameters
    ----------
    layers : sequence of FoundLayer
    target : Target
    options : Options
    slower : callable
        Corrects the cost model where sparse is compared with dense.
    prices : Prices, optional
        Answers of the cost model that may be known already.
    """

    def __init__(
        self, layers: Sequence[FoundLayer], target: Target, options: Options, *, slower: Slower,
        prices: Prices | None = None,
    ) -> None:  # fmt: skip
        self._layers, self._target, self._options, self._slower = tuple(layers), target, options, slower
        self._prices = prices or Prices(target)
        self._kept_dense = kept_dense(self._layers, options.keep_dense)
        self._direct = self._planned(_ALONE, winograd=False)
        self._alone = self._planned(_ALONE, winograd=options.winograd)

    def plan(self, choose: Choose = by_cost_model) -> Plan:
        """What is to be done with every layer; ``choose`` knows the records."""
        plan = self._in_network(self._recorded(choose))
        growth = self._options.max_growth
        if growth is not None:
            most = growth * self.direct_bytes
            plan = self._within(plan, most, limit=f"max_growth {growth:g}")
        if self._target.room_bytes:
            room = self._target.room_bytes - _buffer_bytes(plan.layers)
            plan = self._within(plan, room, limit=f"the memory of {self._target.name}")
        return plan

    @property
    def direct_bytes(self) -> int:
        """Bytes of all weights without Winograd's algorithm."""
        return self._direct.totals.kept_bytes

    def cost(self, layer: LayerPlan, *, all_weights: float) -> float:
        """Cycles of a layer as planned, its weights fetched, where all of the network's are so many bytes."""
        return self._cycles(layer) + fetch_cycles(layer.kept_bytes, all_weights, self._target)

    def choices(self) -> dict[str, Choice]:
        """What is open: key of a layer -> the question, which equal layers have in common."""
        alone = {layer.key: layer for layer in self._alone.layers}
        found = {layer.key: self._choice(layer, alone[layer.key]) for layer in self._layers if is_open(layer)}
        return {key: choice for key, choice in found.items() if len(choice.space()) > 1}

    def computed_by(self, plan: Plan, configs: Mapping[str, AlgorithmConfig], why: Provenance) -> Plan:
        """A plan with other algorithms for some layers: key -> algorithm."""
        return Plan(
            tuple(
                self._configured(layer, configs[layer.key], why) if layer.key in configs else layer
                for layer in plan.layers
            )
        )

    # --- by the cost model -----------------------------------------------------------------------------------------

    def _planned(self, all_weights: float, *, winograd: bool) -> Plan:
        """By predicted cycles, where all of the network's weights are so many bytes."""
        gain = partial(self._gain, all_weights) if winograd else _no_gain

        def speedup(spec: ConvSpec, structure: Structure) -> float:
            price = self._price(all_weights)
            dense, sparse = price(spec, None, None), price(spec, structure, None)
            _, dense_faster = gain(spec, None) or (None, 1.0)
            _, sparse_faster = (None if structure.by_tap else gain(spec, structure)) or (None, 1.0)
            direct = dense / (max(sparse, 1.0) if spec.is_linear else sparse)
            return direct * sparse_faster / (dense_faster * self._slower(spec, structure))

        return plan_layers(
            self._layers, keep_dense=self._options.keep_dense, min_speedup=self._options.min_speedup, speedup=speedup,
            coded_speedup=self._coded_speedup, winograd=gain,
        )  # fmt: skip

    def _coded_speedup(self, spec: ConvSpec, structure: Structure) -> float:
        """Of layers of codes, whose kernels are others: weights are a quarter as large, and come along unseen."""

        def cycles(kept: Structure | None) -> float:
            asked = ("coded", spec, blocks_of(kept))
            return self._prices.once(asked, lambda: coded_cycles(spec, kept, self._target))

        return cycles(None) / max(cycles(structure), 1.0)

    def _gain(self, all_weights: float, spec: ConvSpec, structure: Structure | None) -> tuple[int, float] | None:
        return winograd_gain(spec, structure, self._target, price=self._price(all_weights))

    def _price(self, all_weights: float) -> Callable[[ConvSpec, Structure | None, int | None], float]:
        def price(spec: ConvSpec, structure: Structure | None, tile: int | None) -> float:
            cycles = self._prices.cycles(spec, structure, tile)
            if all_weights == _ALONE or not suits(spec):
                return cycles
            return cycles + fetch_cycles(self._prices.nbytes(spec, structure, tile), all_weights, self._target)

        return price

    def _cycles(self, layer: LayerPlan) -> float:
        """Of a layer as planned, by itself."""
        slower = 1.0 if layer.kept is None else self._slower(layer.spec, layer.kept)
        return self._prices.cycles(layer.spec, layer.kept, layer.tile) * slower

    # --- by records ------------------------------------------------------------------------------------------------

    def _choice(self, layer: FoundLayer, alone: LayerPlan) -> Choice:
        found = layer.structure
        assert found is not None, "an open layer has a structure"
        may_be_sparse = found.has_zero_blocks and layer.name not in self._kept_dense
        tiles = (0, *POINTS) if self._options.winograd else (0,)
        configs = [
            AlgorithmConfig(tile, sparse)
            for sparse in ((False, True) if may_be_sparse else (False,))
            for tile in tiles
            # whoever asks for another gain than the usual one has decided between sparse and dense
            if (self._options.min_speedup == MIN_SPEEDUP or sparse == (alone.decision == "sparse"))
            and not (sparse and tile and found.by_tap)
        ]

        def predict(config: AlgorithmConfig) -> float:
            slower = self._slower(layer.spec, found) if config.sparse else 1.0
            return self._prices.cycles(layer.spec, found if config.sparse else None, config.tile or None) * slower

        default = AlgorithmConfig(alone.tile or 0, alone.decision == "sparse")
        return algorithm_choice(layer.spec, found if may_be_sparse else None, default, configs, predict)

    def _recorded(self, choose: Choose) -> dict[str, LayerPlan]:
        """Layers about which there are records, as those say."""
        if choose is by_cost_model:
            return {}
        layers = {layer.key: layer for layer in self._alone.layers}
        chosen = {key: choose(choice) for key, choice in self.choices().items()}
        return {
            key: self._configured(layers[key], algorithm_of(found.config), found.why)
            for key, found in chosen.items()
            if found.why.by != "cost model"
        }

    def _configured(self, layer: LayerPlan, config: AlgorithmConfig, why: Provenance) -> LayerPlan:
        cycles, found = self._prices.cycles, layer.structure
        reason = {
            "record": f"measured to be fastest: {why.source}",
            "nearest record": f"as was measured of {why.source}",
        }
        kept = found if config.sparse else None
        sparse = cycles(layer.spec, kept, config.tile or None) * (
            1.0 if kept is None else self._slower(layer.spec, kept)
        )
        made = replace(
            layer, decision="sparse" if config.sparse else "dense", reason=reason.get(why.by, "to be measured"),
            predicted=self._best_dense(layer.spec) / max(sparse, 1.0) if config.sparse else None, tile=None, why=why,
        )  # fmt: skip
        if not config.tile:
            return made
        return with_tile(made, config.tile, cycles(layer.spec, kept, None) / cycles(layer.spec, kept, config.tile))

    def _best_dense(self, spec: ConvSpec) -> float:
        _, faster = (self._gain(_ALONE, spec, None) if self._options.winograd else None) or (None, 1.0)
        return self._prices.cycles(spec, None, None) / faster

    # --- in the network --------------------------------------------------------------------------------------------

    def _in_network(self, recorded: Mapping[str, LayerPlan]) -> Plan:
        """As if all weights stayed in the last cache, as if none did, or so that they do: the fastest of the three."""
        alone = _with(self._alone, recorded)
        last = self._target.l3_bytes
        if alone.totals.kept_bytes <= last or not self._options.winograd:
            return alone
        found = [alone, _with(self._planned(_NONE_STAYS, winograd=True), recorded)]
        close = self._within(alone, last, limit="all weights stay in the last cache", fixed=recorded)
        if close.totals.kept_bytes <= last:
            found.append(close)
        return min(found, key=self._total)

    def _total(self, plan: Plan) -> float:
        """Cycles of all layers that differ between plans, and of all weights."""
        nbytes = plan.totals.kept_bytes
        fetched = sum(fetch_cycles(layer.kept_bytes, nbytes, self._target) for layer in plan.layers)
        return fetched + sum(
            self._cycles(layer) for layer in plan.layers if suits(layer.spec) or suits_at_once(layer.spec)
        )

    def _within(self, plan: Plan, most_bytes: float, *, limit: str, fixed: Iterable[str] = ()) -> Plan:
        return within(
            plan, most_bytes, smaller=partial(self._smaller, frozenset(fixed)), cycles=self._cycles, limit=limit
        )

    def _smaller(self, fixed: frozenset[str], layer: LayerPlan) -> list[LayerPlan]:
        """Other ways to compute a layer of Winograd's, of which some have smaller weights."""
        if layer.tile is None or layer.key in fixed:
            return []
        direct = without_tile(layer)
        cycles = partial(self._prices.cycles, layer.spec, layer.kept)
        tiled = [with_tile(direct, m, cycles(None) / cycles(m)) for m in POINTS if m < layer.tile and suits(layer.spec)]
        return [*tiled, direct, *(other for other in self._direct.layers if other.key == layer.key)]


def _no_gain(_spec: ConvSpec, _structure: Structure | None) -> None:
    """Without Winograd's algorithm."""


def _with(plan: Plan, recorded: Mapping[str, LayerPlan]) -> Plan:
    return Plan(tuple(recorded.get(layer.key, layer) for layer in plan.layers)) if recorded else plan


def _buffer_bytes(layers: Sequence[LayerPlan]) -> int:
    """About the memory that a run needs besides weights: the images around the layer with the largest ones, twice."""
    return 2 * max((_image_bytes(layer) for layer in layers), default=0)


def _image_bytes(layer: LayerPlan) -> int:
    spec = layer.spec
    floats = spec.n * (spec.ic * spec.ih * spec.iw + spec.oc * spec.oh * spec.ow)
    if layer.tile is not None and not layer.at_once:
        tiling = Tiling(spec, layer.tile)
        floats += tiling.products * spec.n * tiling.tiles * (spec.ic + spec.oc)
    return 4 * floats
