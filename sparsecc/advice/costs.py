"""The compiler's cost model for one target, asked once for each distinct layer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.graph import Chain
from sparsecc.lower.cost.algorithm import Prices
from sparsecc.lower.cost.winograd import winograd_gain
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


def _kept(structure: Structure | None) -> tuple[int, int, int, bool] | None:
    return None if structure is None else (structure.rows, structure.block_n, structure.nnzb, structure.by_tap)
