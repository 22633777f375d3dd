"""Cost model of convolutions of few input channels by Winograd's algorithm.

Measured on one core of a Zen 5, in microseconds, median of 72 runs, 3 input channels, with the copies that each of them
needs (predicted: both by the model):

==================  ========  ======  ======  =====================  ====
layer               code      direct  this    gain                   then
==================  ========  ======  ======  =====================  ====
7x7/2, 64 at 112    AVX-512   1061    426     2.5 (predicted 2.3)    this
7x7/2, 64 at 112    AVX2      1909    950     2.0 (predicted 2.1)    this
3x3, 64 at 224      AVX-512   770     617     1.25 (predicted 1.33)  this
3x3/2, 32 at 112    AVX-512   102     129     0.8 (predicted 0.9)    direct
==================  ========  ======  ======  =====================  ====
"""

from __future__ import annotations

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.winograd_conv import ACROSS, TILE, PhaseTiling
from sparsecc.target import Target

#: predicted gain over the direct kernel below which the exact sums, and joining with what follows, are worth more; by
#: whether a core starts instructions in order, which the model was not held against
LEAST_GAIN_AT_ONCE = {False: 1.2, True: 1.5}
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
