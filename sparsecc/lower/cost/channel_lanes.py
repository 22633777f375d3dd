"""When output channels rather than pixels are the vector."""

from __future__ import annotations

from collections.abc import Iterator

from sparsecc.ir.conv import ConvSpec
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower.cost.direct import EXPOSED, DirectWork, memory_cycles
from sparsecc.target import Target

#: narrower vectors are not worth it
_LEAST_LANES = 8
#: registers for weights and what the compiler needs, and pixels of a tile that hide the latency of multiply-adds: the
#: least of both in a legal config, and in one that is chosen without a search
_LEGAL_SPARE, _LEGAL_PIXELS = 3, 6
_SPARE, _LEAST_PIXELS = 4, 8
#: cycles of a load unit to load a scalar, into all lanes or as an address
_SCALAR = 0.5
#: shuffles and stores that finish a vector of pixels in all channels of a block, per channel
_FINISH = 7.0
#: cycles that a kept block costs beside its multiply-adds, and to begin a tile
_BLOCK, _RESTART = 1.3, 12.0
#: the same as _FINISH for reading a residual
_RESIDUAL = 7.0


def lane_config(spec: ConvSpec, *, block_n: int, target: Target) -> LaneConfig | None:
    """Tiles for a layer; None where it can't run like this: another N, or no good tile."""
    # four lanes waste next to nothing with pixels as the vector, and LLVM spills 28 accumulators of them
    if block_n != target.lanes or target.lanes < _LEAST_LANES:
        return None
    most = target.registers - _SPARE
    if spec.ow <= most:
        config = LaneConfig(target.lanes, rows=min(spec.oh, most // spec.ow), cols=spec.ow)
    else:
        cols = max(cols for cols in range(1, most + 1) if spec.ow % cols == 0)
        config = LaneConfig(target.lanes, rows=1, cols=cols)
    return config if config.pixels >= _LEAST_PIXELS else None


def lane_space(spec: ConvSpec, target: Target) -> Iterator[LaneConfig]:
    """Every legal tile: some pixels of a row, or whole rows."""
    most = target.registers - _LEGAL_SPARE
    for cols in range(1, min(spec.ow, most) + 1):
        if spec.ow % cols:
            continue
        for rows in range(1, min(spec.oh, most // cols) + 1) if cols == spec.ow else (1,):
            if rows * cols >= min(_LEGAL_PIXELS, spec.oh * spec.ow):
                yield LaneConfig(target.lanes, rows, cols)


def predict_lanes(spec: ConvSpec, work: DirectWork, config: LaneConfig, target: Target) -> float:
    """Predicted cycles on one core."""
    bands, left_over = divmod(spec.oh, config.rows)
    tiles = [config.rows] * (bands * (spec.ow // config.cols)) + [left_over] * bool(left_over)
    cycles = sum(_tile(work, config, rows, target) for rows in tiles)
    loading = sum(_loading(work, rows * config.cols, target) for rows in tiles)
    streaming = DirectConfig(target.lanes, 1, work.block_n, rows_outer=True, unroll_taps=True)
    memory = memory_cycles(work, streaming, target)
    # every multiply-add has a load: where those take all of the units' time, lines that arrive hold them up
    return work.images * (max(cycles, loading + memory) + EXPOSED * min(cycles, memory))


def _tile(work: DirectWork, config: LaneConfig, rows: int, target: Target) -> float:
    pixels = rows * config.cols
    tap = max(pixels / target.fma_per_cycle, target.fma_latency, (pixels + 1) / target.core_model.issue_width)
    vectors = rows * -(-config.cols // config.lanes)
    finish = vectors * config.lanes * (_FINISH + _RESIDUAL * work.residual) + pixels + _RESTART
    return work.nnzb * (work.taps * tap + _BLOCK) + work.rows * finish


def _loading(work: DirectWork, pixels: int, target: Target) -> float:
    """Cycles of the load units for a tile: pixels, a vector of weights, the block's offset."""
    return work.nnzb * (work.taps * (pixels * _SCALAR + 1 / target.loads_per_cycle) + _SCALAR)
