"""Cost model of convolutions of few input channels by Winograd's algorithm."""

from __future__ import annotations

from sparsecc.analyse.structure import Structure
from sparsecc.cost.decide import layer_cycles
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.winograd_conv import ACROSS, TILE, PhaseTiling
from sparsecc.target import Target

#: predicted gain over the direct kernel below which the exact sums, and joining with what follows, are worth more
LEAST_GAIN_AT_ONCE = 1.2
#: vector multiply-adds that a point of the input's transform takes, of all its loads, shuffles and stores too; and one
#: of the transforms of columns and rows of products back
_POINT, _BACK = 11.0, 4.7


def channels_at_once(spec: ConvSpec, target: Target) -> int:
    """Output channels whose products of a column of points are in registers."""
    room = (target.registers - 2) // PhaseTiling(spec).side
    return next(n for n in (8, 4, 2, 1) if n <= room and spec.oc % n == 0)


def at_once_cycles(tiling: PhaseTiling, target: Target) -> float:
    """Predicted cycles on one core."""
    spec, side, points = tiling.spec, tiling.side, len(tiling.order)
    rows = -(-spec.oh // (TILE * target.lanes // ACROSS))
    blocks = spec.n * rows * -(-spec.ow // (TILE * ACROSS))
    loads = 1 / (channels_at_once(spec, target) * target.loads_per_cycle) + target.core_model.weight_load_cycles
    started = 1 / target.fma_per_cycle
    product = started + loads if target.in_order else max(started, loads)
    back = _BACK * side * (side + TILE)
    return blocks * (_POINT * points * started + spec.oc * (points * product + back * started))
