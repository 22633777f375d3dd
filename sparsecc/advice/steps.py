"""Predicted cycles of every step of a network, in its place: with the layouts and neighbours that it will have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparsecc._tvm import IRModule
from sparsecc.advice.costs import Costs
from sparsecc.analyse.layers import LayerPlan
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.program import Ref
from sparsecc.lower.cost.algorithm import fetch_cycles
from sparsecc.lower.cost.stream import clear_cycles
from sparsecc.lower.kernel import Cost
from sparsecc.lower.table import cost
from sparsecc.rewrite.assemble import gaps
from sparsecc.rewrite.rewritten import Rewritten
from sparsecc.target.records.scale import Scale

#: cycles of a step beside its kernel: the call, the barrier, cold code
_CALL = 500.0


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


def network_steps(made: Rewritten, plans: Mapping[str, LayerPlan], costs: Costs) -> list[StepCost]:
    """Steps in order; views take no time and are left out."""
    predict = _Steps(made.placed, made.module, plans, costs)
    return [predict.step(node) for node in made.placed.nodes if node.operator.kernel]


class _Steps:
    def __init__(self, placed: Placed, module: IRModule, plans: Mapping[str, LayerPlan], costs: Costs) -> None:
        self._placed, self._module, self._plans, self._costs = placed, module, plans, costs
        self._target = costs.target
        self._all_weights = sum(layer.kept_bytes for layer in plans.values())

    def step(self, node: PlacedNode) -> StepCost:
        """Predict one step."""
        kernel = self._kernel(node)
        joined = node.operator.joined
        rest = kernel.rest + _CALL + self._clearing(node) + self._fetching(node)
        found = self._plans[node.key].kept if kernel.convolution else None
        block_n = 0 if found is None else found.block_n
        return StepCost(node.key, kernel.kind, kernel.chosen, kernel.convolution, rest, block_n, joined, kernel.windows)

    def _kernel(self, node: PlacedNode) -> Cost:
        """Predict its kernel; of a layer of codes by the blocks that the plan gives it, not by those of its weights."""
        if node.operator.kernel == "qconv":
            plan = self._plans[node.key]
            cycles = self._costs.codes(plan.spec, plan.kept)
            return Cost("int8", rest=cycles, chosen=cycles)
        return cost(node, self._placed, self._module, self._plans, self._target, self._costs.once)

    def _clearing(self, node: PlacedNode) -> float:
        """Cycles to clear the gaps around pixels before the kernel runs."""
        found = gaps(node, self._placed, Ref("buffer", 0))
        cycles = 0.0
        for gap in found:
            plane = gap.rows * (gap.row_stride - gap.row_used) + gap.plane_stride - gap.rows * gap.row_stride
            rows = gap.rows if gap.row_used < gap.row_stride else 0
            nbytes = gap.element * (gap.lead + gap.planes * plane + gap.tail)
            cycles += clear_cycles(runs=gap.planes * (rows + 1), nbytes=nbytes, target=self._target)
        return cycles

    def _fetching(self, node: PlacedNode) -> float:
        """Cycles that weights take longer because all of the network's together do not stay in the last cache."""
        plan = self._plans.get(node.key)
        if plan is None:
            return 0.0
        return fetch_cycles(plan.kept_bytes, self._all_weights, self._target)
