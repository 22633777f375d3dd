"""A layer over sparsity: its time, and the bounds between which pruning it is of use (Park et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparsecc.advice.curves import Bounds, Curve, Point
from sparsecc.advice.plans import Planner, has_codes
from sparsecc.advice.structures import structure_of
from sparsecc.analyse.impose import Impose
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import ConvLayer
from sparsecc.lower.cost.direct import WRITTEN
from sparsecc.target import Target
from sparsecc.target.records.scale import Scale, slower_than_predicted

#: bounds are found to this much
_STEP = 1 / 256


@dataclass(frozen=True)
class Sides:
    """A sparse layer: microseconds of its kept blocks and of what no pruning removes.

    ``cycles`` are of both, as the compiler compares them with those of the dense layer.
    """

    compute: float
    memory: float
    cycles: float

    @property
    def us(self) -> float:
        """All of its time."""
        return self.compute + self.memory


def layer_curve(
    calls: Sequence[ConvLayer], *, n: int, sparsities: Sequence[float], planner: Planner, scale: Scale
) -> Curve:
    """Times of a layer at all sparsities, and its bounds.

    Parameters
    ----------
    calls : sequence of ConvLayer
        Several for a layer that the network uses several times: their times are added.
    n : int
        Output channels of a block.
    sparsities : sequence of float
        Ascending, from 0.
    planner : Planner
    scale : Scale
        Cycles to microseconds.
    """
    dense = sum(planner.cycles(layer, None) for layer in calls)
    whole_us = sum(dense_us(layer, planner, scale) for layer in calls)

    def sides(sparsity: float) -> Sides:
        found = [_sides(layer, Impose(n, sparsity), planner, scale) for layer in calls]
        return Sides(*(sum(each) for each in zip(*((f.compute, f.memory, f.cycles) for f in found), strict=True)))

    def point(sparsity: float) -> Point:
        side = sides(sparsity)
        pays = sparsity > 0 and dense >= planner.options.min_speedup * side.cycles
        return Point(sparsity, side.us if pays else whole_us, side.compute, side.memory, is_sparse=pays)

    def computes(sparsity: float) -> bool:
        side = sides(sparsity)
        return side.compute > side.memory

    lower = _last(lambda sparsity: sides(sparsity).us >= whole_us, sparsities)
    upper = _last(computes, sparsities)
    gains = whole_us >= planner.options.min_speedup * sides(upper).us
    bounds = Bounds(lower, upper, potential=lower < upper and gains)
    return Curve(n, tuple(point(sparsity) for sparsity in sparsities), bounds)


def dense_us(layer: ConvLayer, planner: Planner, scale: Scale) -> float:
    """Microseconds of a dense layer."""
    return planner.cycles(layer, None) * _cycle_us(layer, scale, 0)


def _cycle_us(layer: ConvLayer, scale: Scale, block_n: int) -> float:
    """Microseconds of a cycle: what was measured of float32 kernels says nothing of those of codes."""
    return scale.us(convolution=0.0, rest=1.0) if has_codes(layer) else scale.us(convolution=1.0, block_n=block_n)


def _sides(layer: ConvLayer, impose: Impose, planner: Planner, scale: Scale) -> Sides:
    """Split the predicted time of the faster algorithm.

    What no pruning removes is what is left without any block, Winograd's transforms among it, or the traffic of both
    images if that is more.
    """
    spec, coded = layer.spec, has_codes(layer)
    structure = structure_of(spec, impose)
    cycles, tile = planner.cycles(layer, structure), planner.tile(layer, structure)
    empty = planner.cycles_by(layer, structure_of(spec, Impose(impose.block_n, 1.0)), tile)
    element = 1 if coded else 4
    memory = min(cycles, max(empty, image_cycles(spec, planner.costs.target, element)))
    us = _cycle_us(layer, scale, impose.block_n)
    slower = 1.0 if coded else slower_than_predicted(planner.scale, spec, structure)
    return Sides((cycles - memory) * us, memory * us, cycles * slower)


def image_cycles(spec: ConvSpec, target: Target, element: int) -> float:
    """Cycles to read a layer's input and write its output once: the ``S_A / B`` of Park et al.

    ``element`` is the bytes of a pixel of a channel.
    """
    read, written = element * spec.n * spec.ic * spec.ih * spec.iw, element * spec.n * spec.oc * spec.oh * spec.ow
    return (read + WRITTEN * written) / target.bandwidth(read + written)


def _last(holds: Callable[[float], bool], sparsities: Sequence[float]) -> float:
    """The largest sparsity up to which something holds: 0 for none, 1 where it always does."""
    grid = [*sparsities, 1.0]
    last = max((i for i, sparsity in enumerate(grid) if holds(sparsity)), default=-1)
    if last < 0:
        return 0.0
    if last == len(grid) - 1:
        return 1.0
    low, high = grid[last], grid[last + 1]
    while high - low > _STEP:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high
