"""Cost model of Winograd's algorithm: the products as the direct kernel computes them, and the two transforms.

Measured on one core of a Zen 4 at 3.7 GHz with AVX-512, in microseconds, the least of 180 runs, all from one library:

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
"""

from __future__ import annotations

from sparsecc.analyse.structure import Structure, product_structure
from sparsecc.cost.decide import layer_cycles
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.winograd import POINTS, TAPS, Tiling, suits
from sparsecc.target import Target

#: predicted gain over the direct kernel below which the exact sums are worth more
_LEAST_GAIN = 1.15
#: cycles of a vector's transform per element of a tile's row (for the output, of a tile): loads, arithmetic, stores
_ROW, _COLUMN, _OUTPUT = 3.0, 2.5, 3.0
#: cycles to copy or store a vector of pixels
_PIXEL_VECTOR = 10.0
#: cycles to begin a plane: scratch memory, the loops' ends
_PLANE = 5.0
#: share of the hidden one of compute and memory that shows
_EXPOSED = 0.25


def winograd_gain(spec: ConvSpec, structure: Structure | None, target: Target) -> tuple[int, float] | None:
    """Best side of an output tile and the predicted speed-up over the direct kernel; None for no gain.

    ``structure`` has the blocks that both compute; None for a dense layer.
    """
    if not suits(spec):
        return None
    direct = layer_cycles(spec, structure, target)
    gains = {m: direct / winograd_cycles(Tiling(spec, m), structure, target) for m in POINTS}
    m = max(gains, key=gains.__getitem__)
    return (m, gains[m]) if gains[m] >= _LEAST_GAIN else None


def winograd_cycles(tiling: Tiling, structure: Structure | None, target: Target) -> float:
    """Predicted cycles of all three steps on one core."""
    products = product_cycles(tiling, structure, target)
    return input_cycles(tiling, target) + products + output_cycles(tiling, target)


def input_cycles(tiling: Tiling, target: Target) -> float:
    """Predicted cycles of the first transform; a line that is written is read first."""
    spec = tiling.spec
    return spec.n * spec.ic * _input_cycles(tiling, target) + 2 * spec.ic * _plane_traffic(tiling, target)


def output_cycles(tiling: Tiling, target: Target) -> float:
    """Predicted cycles of the second transform."""
    spec = tiling.spec
    return spec.n * spec.oc * _output_cycles(tiling, target) + spec.oc * _plane_traffic(tiling, target)


def _plane_traffic(tiling: Tiling, target: Target) -> float:
    """Cycles to move one channel's transformed tiles, which different steps write and read."""
    spec = tiling.spec
    transformed = 4 * tiling.products * spec.n * tiling.tiles
    images = 4 * spec.n * (spec.ic * spec.ih * spec.iw + spec.oc * spec.oh * spec.ow)
    return transformed / target.bandwidth(transformed * (spec.ic + spec.oc) + images)


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
    return _PLANE + copied + across + tiling.side * _vectors(tiling.tiles, target) * tiling.side * _COLUMN


def _output_cycles(tiling: Tiling, target: Target) -> float:
    """Cycles of a plane: all tiles, then every row of pixels."""
    stored = tiling.spec.oh * _vectors(tiling.spec.ow, target) * _PIXEL_VECTOR
    return _PLANE + _vectors(tiling.tiles, target) * tiling.products * _OUTPUT + stored


def _vectors(floats: int, target: Target) -> int:
    return -(-floats // target.lanes)
