"""The compiler's cost model for one target, asked once for each distinct layer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TypeVar

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.graph import Chain
from sparsecc.lower.cost.algorithm import Prices, blocks_of
from sparsecc.lower.cost.winograd import winograd_gain
from sparsecc.lower.int8 import window
from sparsecc.lower.int8.price import coded_cycles, coded_shape
from sparsecc.lower.join import Decide
from sparsecc.lower.joining import Joining
from sparsecc.target import Target

Value = TypeVar("Value")


class Costs:
    """Answers of the cost model; equal questions are answered from memory."""

    def __init__(self, target: Target) -> None:
        self.target, self.prices = target, Prices(target)

    def layer(self, spec: ConvSpec, structure: Structure | None) -> float:
        """Cycles of a layer by itself with the direct kernel, as the choice between sparse and dense sees them."""
        return self.prices.cycles(spec, structure, None)

    def codes(self, spec: ConvSpec, structure: Structure | None) -> float:
        """Cycles of a layer of codes with some blocks, or dense (None), by its best kernel."""
        blocks = None if structure is None else (blocks_of(structure), structure.counts, structure.aligned)
        return self.once(("codes", spec, blocks), lambda: layer_cycles(spec, structure, self.target))

    def winograd(self, spec: ConvSpec, structure: Structure | None) -> tuple[int, float] | None:
        """Side of a tile and gain of Winograd's algorithm; None where it gains nothing."""
        return winograd_gain(spec, structure, self.target, price=self.prices.cycles)

    def joining(self, chain: Chain, plan: LayerPlan, decide: Decide) -> Joining:
        """Whether a convolution and the window kernel after it become one kernel; asked once for equal pairs."""
        window = chain.window.combine, chain.window.epilogue, chain.follower
        pair = chain.conv.layer.spec, _kept(plan.kept), chain.conv.epilogue, window
        return self.once(("joining", *pair), lambda: decide(chain, plan))

    def once(self, key: Hashable, find: Callable[[], Value]) -> Value:
        """The answer to a question, from memory if it was asked before."""
        return self.prices.once(key, find)


def layer_cycles(spec: ConvSpec, structure: Structure | None, target: Target) -> float:
    """Cycles of a layer of codes with some blocks, or dense (None), by its best kernel."""
    target = target.for_codes()
    if not spec.is_depthwise:
        return coded_cycles(spec, structure, target)
    shape = window.counted(replace(coded_shape(spec, target), rows=spec.oc, most=1, uniform=1, scattered=False))
    return min(window.predict(shape, config) for config in window.configs(shape))


def _kept(structure: Structure | None) -> tuple[int, int, int, bool] | None:
    return None if structure is None else (structure.rows, structure.block_n, structure.nnzb, structure.by_tap)
