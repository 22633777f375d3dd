"""How long the convolutions of codes take, to choose between their kernels and configs.

Fitted to a few kernels alone on a Zen 5 (the table in docs/quantization.md), in its cycles: what counts is which config
is least, and other cores have not been measured.
"""

from __future__ import annotations

from sparsecc.kernels.int8.blocks import frame_for_lanes
from sparsecc.kernels.int8.frame import Frame, frame_of
from sparsecc.kernels.int8.registers import tiles_of
from sparsecc.kernels.int8.shape import QuantLanes, QuantPixels, QuantShape
from sparsecc.kernels.tiles import cut

#: two multiply-adds, and two loads, start in a cycle
_START = 0.5
#: beside the multiply-adds of a tile's step: a loop, addresses
_STEP = 0.5
#: to put 64 or 16 pixels of a group of channels side by side, and for a row of them
_WIDE, _NARROW, _ROW = 16.0, 4.0, 3.0
#: to put 64 pixels of 4 channels together in registers, and to multiply them for each output channel; 16 pixels more
_IN_REGISTERS, _MULTIPLIED, _FEW = 5.3, 1.35, 4.0
#: of a result: with channels as the vector, with pixels, through sums aside, packed
_TURNED, _STORED, _ASIDE, _PACKED = 0.15, 0.12, 0.33, 0.08
#: scratch memory beyond the first cache
_FAR, _FAR_FACTOR = 40 * 1024, 1.03
#: bytes of weights beyond the first cache that come in a cycle
_NEAR, _WEIGHTS = 32 * 1024, 15.0


def predict_lanes(shape: QuantShape, config: QuantLanes) -> float:
    """Cycles of the kernel with channels as the vector."""
    shape = shape.flat
    spec, by = shape.spec, shape.instructions
    tiles = -(-spec.ow // config.cols)
    whole, left = divmod(spec.oh, config.rows)
    per_step = shape.count * (shape.block_n // (config.vectors * by.lanes)) * spec.taps * tiles
    fetched = config.vectors * by.lanes * 4 / _WEIGHTS if _weight_bytes(shape, config) > _NEAR else 0.0
    cycles = 0.0
    for rows, count in ((config.rows, whole), (left, bool(left))):
        pixels = rows * config.cols
        dots, loads = pixels * config.vectors, pixels + config.vectors
        step = max(_START * max(dots, loads, _LATENCY), fetched)
        cycles += count * per_step * (step + _STEP / max(1, spec.taps))
    cycles *= _far(shape, frame_for_lanes(shape, out=config.band))
    return spec.n * (
        cycles
        + _staging(shape, frame_for_lanes(shape, out=_rows(shape, config.band)))
        + _TURNED * shape.slots * spec.oh * spec.ow * 16 / by.lanes
    )


#: multiply-adds that have to be under way
_LATENCY = 10


def predict_pixels(shape: QuantShape, config: QuantPixels) -> float:
    """Cycles of the kernels with pixels as the vector."""
    by = shape.instructions
    if not config.band:
        pixels = shape.spec.ih * shape.spec.iw
        count, last = tiles_of(pixels)
        whole, few = count + bool(last and last.many), bool(last and last.few)
        tile = whole * (_IN_REGISTERS + _MULTIPLIED * config.reg_n) + few * _FEW
        work = shape.count * (shape.block_n // config.reg_n) * tile
        return shape.spec.n * (work + _PACKED * shape.slots * pixels)
    shape = shape.flat
    spec = shape.spec
    frame = frame_of(spec, out=config.band)
    tiles = cut(max(frame.flat, by.lanes), lanes=by.lanes, vectors=config.vectors)
    vectors = [config.vectors] * tiles.count + [sum(run.count for run in tiles.rest)] * bool(tiles.rest)
    per_step = shape.count * (shape.block_n // config.reg_n) * spec.taps * -(-spec.oh // config.band)
    step = sum(_START * max(config.reg_n * v, config.reg_n + v, _LATENCY) + _STEP / max(1, spec.taps) for v in vectors)
    stored = _STORED if frame.out == 1 or shape.result.layout.pitch == frame.pitch else _ASIDE
    cycles = per_step * step * _far(shape, frame)
    return spec.n * (
        cycles
        + _staging(shape, frame_of(spec, out=_rows(shape, config.band)))
        + stored * shape.slots * spec.oh * spec.ow * 16 / by.lanes
    )


def _weight_bytes(shape: QuantShape, config: QuantLanes) -> int:
    """Of the channels that are computed together, of the row of blocks that has most."""
    return 4 * shape.most * shape.spec.taps * config.vectors * shape.instructions.lanes


def _rows(shape: QuantShape, band: int) -> int:
    """Output rows that are put side by side at a time."""
    return shape.spec.oh if shape.dense else band


def _staging(shape: QuantShape, frame: Frame) -> float:
    """To put all that rows of blocks read side by side: once for all of them where they are dense."""
    spec, size = shape.spec, shape.instructions.group
    groups = spec.groups * -(-spec.ic_per_group // size) if shape.dense else shape.count
    bands = -(-spec.oh // frame.out)
    return groups * bands * len(frame.phases) * frame.rows * _row(frame, shape.instructions.lanes)


def _row(frame: Frame, lanes: int) -> float:
    start, end = frame.columns(0)
    is_wide = frame.apart == 1 and end - start >= 40 and lanes == 16
    units = -(-(end - start) // (64 if is_wide else 16))
    return _ROW + units * (_WIDE if is_wide else _NARROW * (1 if lanes == 16 else 2))


def _far(shape: QuantShape, frame: Frame) -> float:
    return _FAR_FACTOR if not shape.dense and 4 * shape.most * frame.size > _FAR else 1.0
