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

The transforms' constants are fitted to the same layers on a Zen 5, whose direct kernels take 913, 905, 901 and 914 us:
37, 26, 10 and 12 us for the inputs and 30, 16, 9 and 8 us for the outputs of ``m = 4``; 40, 20, 10, 6 and 39, 18, 10,
6 us for those of ``m = 2``. They are met within a factor of 1.2 in the mean, 1.6 at most. The table is older than these
kernels: the inputs of ``m = 4`` took 85, 25, 41 and 64 us on that Zen 5 then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from sparsecc.analyse.structure import Structure, product_structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.winograd import POINTS, Tiling, suits
from sparsecc.ir.winograd_conv import TILE, PhaseTiling, is_at_once, suits_at_once
from sparsecc.kernels.winograd_cut import cut
from sparsecc.lower.cost.decide import layer_cycles, least_cycles, sparse_work
from sparsecc.lower.cost.winograd_conv import LEAST_GAIN_AT_ONCE, at_once_cycles
from sparsecc.target import Target

#: cycles of a layer, dense (None) or of some blocks, with tiles of a side, or (None) by the direct kernel
Price = Callable[[ConvSpec, Structure | None, int | None], float]
#: predicted gain over the direct kernel below which the exact sums are worth more
LEAST_GAIN = 1.05
#: the same for pruned layers: with few kept blocks direct kernels take longer than predicted (a tenth of them: 1.1 to
#: 1.3 times as long on a Zen 5), and products do not. 128 channels at 28x28 pixels, 1x16 at 90 %: 1.04 predicted, 1.41
#: measured; 512 at 7x7, 1x4 at 75 %: 0.93 and 1.09
LEAST_GAIN_PRUNED = 0.92
#: ... and lower where rows keep few blocks, as if each had so many more for a direct kernel, which begins with every
#: row of a tile anew: 64 channels at 56x56 pixels, 1x4 at 90 % (6.4 blocks a row): 0.86 predicted, 1.2 measured
_BEGUN_BLOCKS = 1.5
#: rows of fewer blocks count as if they had as many
_LEAST_BLOCKS = 6.0
#: the same for cores that start instructions in order, dense and pruned: many short products cost them more than the
#: model says (a layer of 32 channels at 10x10 pixels on an rpi2: predicted 1.2, one and a half times the instructions)
_LEAST_GAINS_IN_ORDER = 1.15, 1.5
#: cycles of an instruction of the input's transform, and of an element of a tile for the output's: loads, arithmetic,
#: stores; of a core that begins one load of a vector a cycle
_INSTRUCTION, _OUTPUT = 1.4, 4.0
#: cycles to store a vector of pixels
_PIXEL_VECTOR = 4.0
#: cycles to begin a plane: scratch memory, the loops' ends
_PLANE = 30.0
#: vectors of a part of a core's lanes take at least this share of whole ones' cycles
_LEAST_SHARE = 0.5
#: share of the cycles to move transformed planes beyond the second cache that shows
_WRITTEN, _READ = 0.1, 0.35
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
    dense, pruned = _LEAST_GAINS_IN_ORDER if target.in_order else (LEAST_GAIN, LEAST_GAIN_PRUNED)
    if structure is None:
        return dense
    blocks = max(structure.nnzb / structure.rows, _LEAST_BLOCKS)
    return pruned if target.in_order else min(pruned, 1 / (1 + _BEGUN_BLOCKS / blocks))


def winograd_cycles(tiling: Tiling, structure: Structure | None, target: Target) -> float:
    """Predicted cycles of all three steps on one core."""
    products = product_cycles(tiling, structure, target)
    return input_cycles(tiling, target, read_share(structure)) + products + output_cycles(tiling, target)


def read_share(structure: Structure | None) -> float:
    """Share of the input channels that some kept block reads, blocks being anywhere."""
    return 1.0 if structure is None else 1.0 - (1.0 - structure.density) ** structure.rows


def input_cycles(tiling: Tiling, target: Target, share: float = 1.0) -> float:
    """Predicted cycles of the first transform, of a share of the channels."""
    spec = tiling.spec
    each = spec.n * _input_cycles(tiling, target) + _WRITTEN * _plane_traffic(tiling, target)
    return share * spec.ic * each


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
    if kept is None:
        compute = layer_cycles(tiling.product_spec, None, target)
    else:
        work = replace(sparse_work(tiling.product_spec, kept), product=True)
        compute = least_cycles(tiling.product_spec, work, target)
    memory = weights / target.bandwidth(target.l2_bytes + weights)
    return max(compute, memory) + _EXPOSED * min(compute, memory)


def _input_cycles(tiling: Tiling, target: Target) -> float:
    """Cycles of a plane: every vector of tiles, as the kernel cuts it."""
    m, side, made = tiling.m, tiling.side, cut(tiling, lanes=target.lanes)
    vectors = -(-tiling.rows // made.rows) * made.chunks
    # loads, sums across m vectors of pixels and down side of them, shuffles, stores
    instructions = m * side + (m + side) * side * m / 2 + (m + side) * side + side * side
    return (_PLANE + vectors * instructions * _INSTRUCTION * _share(made.lanes, target)) / target.loads_per_cycle


def _output_cycles(tiling: Tiling, target: Target) -> float:
    """Cycles of a plane: all tiles, then every row of pixels."""
    stored = tiling.spec.oh * _vectors(tiling.spec.ow, target) * _PIXEL_VECTOR
    width = _share(min(tiling.tiles, target.lanes), target)
    transformed = _vectors(tiling.tiles, target) * tiling.products * _OUTPUT * width
    return (_PLANE + transformed + stored) / target.loads_per_cycle


def _share(lanes: int, target: Target) -> float:
    """Cycles of a vector relative to those of a whole one."""
    return max(lanes / target.lanes, _LEAST_SHARE)


def _vectors(floats: int, target: Target) -> int:
    return -(-floats // target.lanes)
