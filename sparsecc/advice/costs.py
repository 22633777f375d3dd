"""The compiler's cost model for one target, asked once for each distinct layer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar, cast

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import Structure
from sparsecc.cost.chain import chain_cycles
from sparsecc.cost.decide import layer_cycles
from sparsecc.cost.direct import DirectWork
from sparsecc.cost.window import arithmetic_cycles, window_cycles
from sparsecc.cost.winograd import winograd_gain
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.graph import Chain, FusedConv
from sparsecc.facts.indices import OFFSET
from sparsecc.facts.layout import PlaneLayout
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.window_shape import WindowShape
from sparsecc.rewrite.chain import Joining
from sparsecc.rewrite.join_choice import Decide
from sparsecc.rewrite.layout import window_spec
from sparsecc.rewrite.lower_conv import DirectOptions
from sparsecc.rewrite.lower_window import window_config
from sparsecc.spaces.config import ConvConfig
from sparsecc.target import Target

Value = TypeVar("Value")


class Costs:
    """Answers of the cost model; equal questions are answered from memory."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._known: dict[Hashable, object] = {}

    def layer(self, spec: ConvSpec, structure: Structure | None) -> float:
        """Cycles of a layer by itself, as the choice between sparse and dense sees them."""
        return self._once(("layer", spec, _kept(structure)), lambda: layer_cycles(spec, structure, self.target))

    def winograd(self, spec: ConvSpec, structure: Structure | None) -> tuple[int, float] | None:
        """Side of a tile and gain of Winograd's algorithm; None where it gains nothing."""
        key = ("winograd", spec, _kept(structure))
        return self._once(key, lambda: winograd_gain(spec, structure, self.target))

    def joining(self, chain: Chain, plan: LayerPlan, decide: Decide) -> Joining:
        """Whether a convolution and the window kernel after it become one kernel; asked once for equal pairs."""
        window = chain.window.epilogue if isinstance(chain.window, FusedConv) else chain.window.combine
        pair = chain.conv.layer.spec, _kept(plan.kept), chain.conv.epilogue, window_spec(chain), window
        return self._once(("joining", *pair), lambda: decide(chain, plan))

    def direct(
        self, operator: FusedConv, works: Mapping[int, DirectWork], store: StoreShape, source: PlaneLayout
    ) -> tuple[ConvConfig, float]:
        """The config that the compiler chooses for a convolution in its place in the network, and its cycles."""

        def find() -> tuple[ConvConfig, float]:
            options = DirectOptions(operator, store, source, self.target, None, OFFSET, works)
            config = options.default()
            return config, options.predict(config)

        return self._once(("direct", operator.layer.spec, tuple(works.items())), find)

    def window(self, shape: WindowShape) -> float:
        """Cycles of a depthwise convolution or pooling by itself."""
        target = self.target
        return self._once(("window", shape), lambda: window_cycles(shape, window_config(shape, target), target))

    def chain(self, work: DirectWork, config: DirectConfig, shape: WindowShape) -> tuple[float, float]:
        """Cycles of a convolution and of the window kernel that is joined with it."""

        def find() -> tuple[float, float]:
            results = 4.0 * shape.spec.oc * shape.store.flat
            window = arithmetic_cycles(shape, window_config(shape, self.target), self.target)
            return chain_cycles(work, config, results=results, target=self.target), window

        return self._once(("chain", work, config, shape), find)

    def _once(self, key: Hashable, find: Callable[[], Value]) -> Value:
        if key not in self._known:
            self._known[key] = find()
        return cast(Value, self._known[key])


def _kept(structure: Structure | None) -> tuple[int, int, int, bool] | None:
    return None if structure is None else (structure.rows, structure.block_n, structure.nnzb, structure.by_tap)
