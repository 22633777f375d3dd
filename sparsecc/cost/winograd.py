"""Cost model of Winograd's algorithm: the products as the direct kernel computes them, and the two transforms.

Measured on one core of a Zen 4 at 3.7 GHz with AVX-512, in microseconds, the least of 180 runs, all from one library
(predicted: by the constants of that time):

====================  ======  ====  =====  ========  ======  =====  =========  ============
channels at pixels    direct  tile  input  products  output    sum  predicted  direct / sum
====================  ======  ====  =====  ========  ======  =====  =========  ============
64 at 56 x 56           2032     4    131       562     101    793        808          2.56
64 at 56 x 56           2022     2    214      1060     117   1391       1325          1.45
128 at 28 x 28          2065     4     59       603      55    717        809          2.88
128 at 28 x 28          2060     2     84       975      55   1114       1208          1.85
256 at 14 x 14          2187     4     49       694      33    776        839          2.82
256 at 14 x 14          2182     2     37      1073      26   1136       1322          1.92
512 at 7 x 7            2399     4     99      1564      44   1708       2700          1.40
512 at 7 x 7            2469     2     41      1285      16   1342       1530          1.84
====================  ======  ====  =====  ========  ======  =====  =========  ============

Products run near the peak, so the larger tile wins until images get small: 7 x 7 pixels are four tiles of ``m = 4``, a
quarter of a vector, and its 38 MB of weights, ``(m + 2)**2 / 9`` times those of the layer, come from memory.

The constants are fitted to these and to the same layers on a Zen 5, which begins two loads of a vector a cycle and
takes half the cycles: 90, 27, 41 and 65 us for the inputs and 39, 17, 10 and 23 us for the outputs of ``m = 4``; 62,
32, 17, 29 and 42, 21, 10, 6 us for those of ``m = 2``. They are met within a factor of 1.3 in the mean, 1.65 at most.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sparsecc.analyse.structure import Structure, product_structure
from sparsecc.cost.decide import layer_cycles
from sparsecc.cost.winograd_conv import LEAST_GAIN_AT_ONCE, at_once_cycles
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.winograd import POINTS, TAPS, Tiling, suits
from sparsecc.ir.winograd_conv import TILE, PhaseTiling, is_at_once, suits_at_once
from sparsecc.target import Target

#: cycles of a layer, dense (None) or of some blocks, with tiles of a side, or (None) by the direct kernel
Price = Callable[[ConvSpec, Structure | None, int | None], float]
#: predicted gain over the direct kernel below which the exact sums are worth more
LEAST_GAIN = 1.05
#: the same for pruned layers: with few kept blocks direct kernels take longer than predicted (a tenth of them: 1.1 to
#: 1.3 times as long on a Zen 5), and products do not. 128 channels at 28x28 pixels, 1x16 at 90 %: 1.04 predicted, 1.41
#: measured; 512 at 7x7, 1x4 at 75 %: 0.93 and 1.09
_LEAST_GAIN_PRUNED = 0.92
#: the same for cores that start instructions in order, dense and pruned: many short products cost them more than the
#: model says (a layer of 32 channels at 10x10 pixels on an rpi2: predicted 1.2, one and a half times the instructions)
_LEAST_GAINS_IN_ORDER = 1.15, 1.5
#: cycles of a vector's transform per element of a tile's row (for the output, of a tile): loads, arithmetic, stores;
#: of a core that begins one load of a vector a cycle
_ROW, _COLUMN, _OUTPUT = 2.0, 3.0, 3.0
#: cycles to copy or store a vector of pixels
_PIXEL_VECTOR = 8.0
#: cycles to begin a plane: scratch memory, the loops' ends
_PLANE = 60.0
#: times that transformed planes beyond the second cache are moved: a line that is written is read before; prefetchers
#: see what is read
_WRITTEN, _READ = 2.0, 0.5
#: share of the hidden one of compute and memory that shows
_EXPOSED = 0.25


def winograd_gain(
    spec: ConvSpec, structure: Structure | None, target: Target, *, price: Price | None = None
) -> tuple[int, float] | None:
    """Best side of an output tile and the predicted speed-up over the direct kernel; None for no gain.

    ``structure`` has the blocks that both compute; None for a dense layer. ``price`` predicts an algorithm's cycles, by
    default :func:`algorithm_cycles`.
    """
    price = price or partial(algorithm_cycles, target=target)
    if suits_at_once(spec):
        return _at_once_gain(spec, structure, target, price)
    if not suits(spec):
        return None
    direct = price(spec, structure, None)
    gains = {m: direct / price(spec, structure, m) for m in POINTS}
    m = max(gains, key=gains.__getitem__)
    return (m, gains[m]) if gains[m] >= _least_gain(structure, target) else None


def algorithm_cycles(spec: ConvSpec, structure: Structure | None, tile: int | None, *, target: Target) -> float:
    """Predicted cycles of a layer by itself: with tiles of a side, or (None) by the direct kernel."""
    if tile is None:
        return layer_cycles(spec, structure, target)
    if structure is None and is_at_once(spec, tile):
        return at_once_cycles(PhaseTiling(spec), target)
    return winograd_cycles(Tiling(spec, tile), structure, target)


def _at_once_gain(
    spec: ConvSpec, structure: Structure | None, target: Target, price: Price
) -> tuple[int, float] | None:
    """The same for few input channels; that kernel computes all blocks."""
    if structure is not None:
        return None
    gain = price(spec, None, None) / price(spec, None, TILE)
    return (TILE, gain) if gain >= LEAST_GAIN_AT_ONCE[target.in_order] else None


def _least_gain(structure: Structure | None, target: Target) -> float:
    dense, pruned = _LEAST_GAINS_IN_ORDER if target.in_order else (LEAST_GAIN, _LEAST_GAIN_PRUNED)
    return dense if structure is None else pruned


def winograd_cycles(tiling: Tiling, structure: Structure | None, target: Target) -> float:
    """Predicted cycles of all three steps on one core."""
    products = product_cycles(tiling, structure, target)
    return input_cycles(tiling, target) + products + output_cycles(tiling, target)


def input_cycles(tiling: Tiling, target: Target) -> float:
    """Predicted cycles of the first transform."""
    spec = tiling.spec
    return spec.n * spec.ic * _input_cycles(tiling, target) + _WRITTEN * spec.ic * _plane_traffic(tiling, target)


def output_cycles(tiling: Tiling, target: Target) -> float:
    """Predicted cycles of the second transform."""
    spec = tiling.spec
    return spec.n * spec.oc * _output_cycles(tiling, target) + _READ * spec.oc * _plane_traffic(tiling, target)


def _plane_traffic(tiling: Tiling, target: Target) -> float:
    """Cycles to move one channel's transformed tiles between two steps, where the second cache has no room for all."""
    spec = tiling.spec
    transformed = 4 * tiling.products * spec.n * tiling.tiles
    images = 4 * spec.n * (spec.ic * spec.ih * spec.iw + spec.oc * spec.oh * spec.ow)
    footprint = transformed * (spec.ic + spec.oc) + images
    return transformed / target.bandwidth(footprint) if footprint > target.l2_bytes else 0.0


def product_cycles(tiling: Tiling, structure: Structure | None, target: Target) -> float:
    """Predicted cycles of the products between both transforms, of the layer's kept blocks or (None) all of them."""
    spec = tiling.spec
    kept = None if structure is None else product_structure(structure, tiling)
    weights = 4.0 * (tiling.products * spec.oc * spec.ic if kept is None else kept.nnzb * kept.block_n)
    compute = layer_cycles(tiling.product_spec, kept, target)
    memory = weights / target.bandwidth(target.l2_bytes + weights)
    return max(compute, memory) + _EXPOSED * min(compute, memory)


def _input_cycles(tiling: Tiling, target: Target) -> float:
    """Cycles of a plane: every row of pixels, then every column of tiles' rows."""
    rows = tiling.rows * tiling.m + TAPS - 1
    copied = rows * _vectors(tiling.spec.iw, target) * _PIXEL_VECTOR
    across = rows * _vectors(tiling.cols, target) * tiling.side * _ROW
    down = tiling.side * _vectors(tiling.tiles, target) * tiling.side * _COLUMN
    return (_PLANE + copied + across + down) / target.loads_per_cycle


def _output_cycles(tiling: Tiling, target: Target) -> float:
    """Cycles of a plane: all tiles, then every row of pixels."""
    stored = tiling.spec.oh * _vectors(tiling.spec.ow, target) * _PIXEL_VECTOR
    transformed = _vectors(tiling.tiles, target) * tiling.products * _OUTPUT
    return (_PLANE + transformed + stored) / target.loads_per_cycle


def _vectors(floats: int, target: Target) -> int:
    return -(-floats // target.lanes)
