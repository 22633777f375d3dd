"""Predicted cycles of every step of a network, in its place: with the layouts and neighbours that it will have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from sparsecc._tvm import IRModule, Schedule
from sparsecc.advice.costs import Costs
from sparsecc.analyse.layers import LayerPlan
from sparsecc.cost.decide import linear_cycles
from sparsecc.cost.stream import clear_cycles, generic_cycles, mean_cycles, repack_cycles
from sparsecc.cost.winograd import input_cycles, output_cycles, product_cycles
from sparsecc.errors import InternalError
from sparsecc.facts.epilogue import Epilogue
from sparsecc.facts.graph import Chain, FusedConv, TirOp, View
from sparsecc.facts.layer import MeanLayer, PoolLayer
from sparsecc.facts.placed import Placed, PlacedNode, Repack
from sparsecc.facts.program import Ref
from sparsecc.facts.winograd import Tiling, WinogradInput, WinogradOutput
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.mean import MeanShape
from sparsecc.kernels.repack import RepackShape
from sparsecc.records.scale import Scale
from sparsecc.rewrite.assemble import gaps
from sparsecc.rewrite.lower_chain import chain_shapes
from sparsecc.rewrite.lower_conv import direct_works, image, store_shape
from sparsecc.rewrite.lower_window import window_shape
from sparsecc.rewrite.rewritten import Rewritten

_FLOAT_BYTES = 4
#: cycles of a step beside its kernel: the call, the barrier, cold code
_CALL = 500.0
#: share of the time to fetch weights from memory that is not hidden
_FETCHED = 0.5


@dataclass(frozen=True)
class StepCost:
    """One kernel call.

    Attributes
    ----------
    key : str
        As in the library's report and profile.
    kind : str
        ``conv``, ``chain``, ``window``, ``linear``, ``mean``, ``repack``, ``winograd`` or ``generic``.
    chosen : float or None
        Cycles by which the compiler chose the kernel's config, those of its report; None where it has no choice.
    convolution : float
        Cycles of the convolution's part of the kernel; 0 where there is none.
    rest : float
        All other cycles: other kernels, the call, gaps that are cleared before, weights that come from farther away
        than the choice of a config assumes.
    block_n : int
        Output channels of a block of that convolution; 0 for a dense one.
    joined : tuple of str
        Keys of layers that it computes too.
    windows : float
        Cycles of a depthwise convolution or pooling, alone or joined.
    """

    key: str
    kind: str
    chosen: float | None
    convolution: float
    rest: float
    block_n: int = 0
    joined: tuple[str, ...] = ()
    windows: float = 0.0

    @property
    def cycles(self) -> float:
        """All of them."""
        return self.convolution + self.windows + self.rest

    def us(self, scale: Scale) -> float:
        """Microseconds."""
        return scale.us(convolution=self.convolution, rest=self.rest, windows=self.windows, block_n=self.block_n)


class _Cost(NamedTuple):
    """A kernel: its kind, cycles besides those of a convolution, of that, and those by which it was chosen."""

    kind: str
    rest: float
    convolution: float = 0.0
    chosen: float | None = None
    windows: float = 0.0


def network_steps(made: Rewritten, plans: Mapping[str, LayerPlan], costs: Costs) -> list[StepCost]:
    """Steps in order; views take no time and are left out."""
    predict = _Steps(made.placed, made.module, plans, costs)
    return [predict.step(node) for node in made.placed.nodes if not isinstance(node.operator, View)]


class _Steps:
    def __init__(self, placed: Placed, module: IRModule, plans: Mapping[str, LayerPlan], costs: Costs) -> None:
        self._placed, self._module, self._plans, self._costs = placed, module, plans, costs
        self._target = costs.target
        self._all_weights = sum(layer.kept_bytes for layer in plans.values())

    def step(self, node: PlacedNode) -> StepCost:
        """Predict one step."""
        kernel = self._kernel(node)
        joined = (node.operator.window_key,) if isinstance(node.operator, Chain) else ()
        rest = kernel.rest + _CALL + self._clearing(node) + self._fetching(node)
        found = self._plans[node.key].kept if kernel.convolution else None
        block_n = 0 if found is None else found.block_n
        return StepCost(node.key, kernel.kind, kernel.chosen, kernel.convolution, rest, block_n, joined, kernel.windows)

    def _kernel(self, node: PlacedNode) -> _Cost:
        operator, placed, target = node.operator, self._placed, self._target
        if isinstance(operator, FusedConv):
            return self._convolution(node, operator)
        if isinstance(operator, Chain):
            return self._chain(node, operator)
        if isinstance(operator, PoolLayer):
            return _Cost("window", 0.0, windows=self._window(node, operator))
        if isinstance(operator, MeanLayer):
            shape = MeanShape(operator.n * operator.c, image(placed, node.inputs[0]))
            return _Cost("mean", mean_cycles(shape, target))
        if isinstance(operator, WinogradInput):
            return _Cost("winograd", input_cycles(operator.tiling, target))
        if isinstance(operator, WinogradOutput):
            return _Cost("winograd", output_cycles(operator.tiling, target))
        if isinstance(operator, Repack):
            return _Cost("repack", self._repack(node, operator))
        if isinstance(operator, TirOp):
            return _Cost("generic", self._generic(node, operator))
        raise InternalError(
            f"advise: no cost for {type(operator).__name__} {node.key}; please report it with the model"
        )

    def _convolution(self, node: PlacedNode, operator: FusedConv) -> _Cost:
        plan, spec = self._plans[node.key], operator.layer.spec
        if spec.is_linear:
            cycles = linear_cycles(spec, plan.kept, self._target)
            return _Cost("linear", cycles, chosen=cycles)
        if spec.is_depthwise:
            return _Cost("window", 0.0, windows=self._window(node, operator))
        store, source = store_shape(node, self._placed, operator.epilogue), image(self._placed, node.inputs[0])
        kept = plan.computed
        works = direct_works(spec, kept, store, source, by_tap=kept is not None and kept.by_tap)
        _, cycles = self._costs.direct(operator, works, store, source)
        if plan.tile is not None:
            return _Cost("winograd", 0.0, product_cycles(Tiling(plan.spec, plan.tile), plan.kept, self._target), cycles)
        return _Cost("conv", 0.0, cycles, cycles)

    def _chain(self, node: PlacedNode, chain: Chain) -> _Cost:
        between, windows = chain_shapes(node, chain, self._placed, self._target)
        source = image(self._placed, node.inputs[0])
        kept = self._plans[node.key].kept
        by_tap = kept is not None and kept.by_tap
        works = direct_works(chain.conv.layer.spec, kept, between, source, joined=True, by_tap=by_tap)
        config, cycles = self._costs.direct(chain.conv, works, between, source)
        assert isinstance(config.kernel, DirectConfig), "a chain's convolution has pixels as the vector"
        convolution, window = self._costs.chain(works[config.block_n], config.kernel, windows)
        return _Cost("chain", 0.0, convolution, cycles, windows=window)

    def _window(self, node: PlacedNode, operator: FusedConv | PoolLayer) -> float:
        epilogue = operator.epilogue if isinstance(operator, FusedConv) else Epilogue()
        store, source = store_shape(node, self._placed, epilogue), image(self._placed, node.inputs[0])
        shape = window_shape(operator, store, source, self._target, packs=node.packs)
        return self._costs.window(replace(shape, in_place=node.in_place))

    def _repack(self, node: PlacedNode, operator: Repack) -> float:
        n, c = self._placed.shapes[node.output][:2]
        source, layout = image(self._placed, node.inputs[0]), image(self._placed, node.output)
        return repack_cycles(RepackShape(n * c, source, layout, operator.rows, lanes=self._target.lanes), self._target)

    def _generic(self, node: PlacedNode, operator: TirOp) -> float:
        read = sum(self._placed.size(tensor) for tensor in node.inputs) * _FLOAT_BYTES
        read += sum(constant.nbytes for constant in operator.constants if constant is not None)
        written = self._placed.size(node.output) * _FLOAT_BYTES
        iterations = _iterations(self._module, operator.function)
        return generic_cycles(iterations=iterations, read=read, written=written, target=self._target)

    def _clearing(self, node: PlacedNode) -> float:
        """Cycles to clear the gaps around pixels before the kernel runs."""
        found = gaps(node, self._placed, Ref("buffer", 0))
        cycles = 0.0
        for gap in found:
            plane = gap.rows * (gap.row_stride - gap.row_used) + gap.plane_stride - gap.rows * gap.row_stride
            rows = gap.rows if gap.row_used < gap.row_stride else 0
            nbytes = _FLOAT_BYTES * (gap.lead + gap.planes * plane + gap.tail)
            cycles += clear_cycles(runs=gap.planes * (rows + 1), nbytes=nbytes, target=self._target)
        return cycles

    def _fetching(self, node: PlacedNode) -> float:
        """Cycles that weights take longer because all of the network's together do not stay in the last cache."""
        plan = self._plans.get(node.key)
        if plan is None or not isinstance(node.operator, FusedConv | Chain):
            return 0.0
        near = self._target.bandwidth(self._target.l2_bytes + plan.kept_bytes)
        far = self._target.bandwidth(self._all_weights)
        return _FETCHED * plan.kept_bytes * max(0.0, 1 / far - 1 / near)


def _iterations(module: IRModule, function: str) -> int:
    """Of the innermost loops of all blocks of a function."""
    schedule = Schedule(module[function])
    blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
    return sum(math.prod(int(schedule.get(loop).extent) for loop in schedule.get_loops(block)) for block in blocks)
