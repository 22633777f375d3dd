"""Cost model of the direct kernel: a roofline whose compute side counts what a core can start in a cycle.

Time of a tile's pass over a row of blocks is the kept taps times the slowest of its multiply-adds, its loads and its
instructions, plus a price for each kept block, for starting (bias, first loads) and for storing. Time of memory is what
must come from beyond the first cache. The larger one counts in full, a part of the other one too, because
out-of-order execution hides most but not all of it.

Constants that were fitted to timings, core by core, are in :mod:`sparsecc.target.cores`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparsecc.kernels.direct_sets import set_count
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.tiles import Vectors, cut
from sparsecc.target import Target

#: index load, address arithmetic, loop control: instructions a kept block adds
_BLOCK_INSTRUCTIONS = 6
#: above this share of the registers as accumulators a tile's end no longer overlaps with the next one's start
CROWDED = 0.65
#: planes that a tile stores to without their lines pushing one another out of the first cache; cycles for more
_PLANES, _MANY_PLANES = 8, 15.0
#: share of the hidden one of compute and memory that shows
EXPOSED = 0.14
#: how much slower than plain streaming results are written
WRITTEN = 1.7
#: share of the first cache's misses that shows when a tile's pixels are read again, by channels in registers: with one
#: of them every multiply-add is a load
_AGAIN = {1: 1.0, 2: 0.7}
_LINE_BYTES = 64
#: how much slower than the load units allow a copy is read where each multiply-add has a load of its own (Zen 3)
_COPY_LOADS = 1.35
#: half vectors on a core whose full ones take two halves: measured 1.3 times as fast, not twice
_NARROW = 0.75


@dataclass(frozen=True)
class DirectWork:
    """What the model needs to know of a layer.

    Attributes
    ----------
    images, groups, flat, plane : int
        Images (each conv group makes one of its own), conv groups, floats of a plane that are computed, floats between
        planes of the input.
    ic, taps, kernel_width : int
        Input channels, taps of a block, taps of a kernel row.
    rows, block_n, nnzb : int
        Rows of blocks, their output channels, kept blocks.
    residual : bool
        True when a second tensor of the output's size is read.
    joined : bool
        True when a window kernel reads the planes one by one: row by row of blocks.
    staged : bool
        True when planes are copied to another pitch: row by row of blocks, unless ``widens``.
    widens : bool
        True when the copy can be made in place, see :class:`~sparsecc.kernels.direct_shape.DirectShape`.
    repeats : bool
        True when a row repeats a channel: what waits in the output would be added to, or moved, twice.
    aligned : bool
        True when planes of the input begin at a cache line.
    halo : int
        Floats of a plane around a tile that its blocks read, where a block is one tap.
    height : int
        Rows of pixels of the output.
    product : bool
        True for pruned products of Winograd's algorithm: planes begin at cache lines, and small tiles have several sets
        of sums, to which kept blocks go in turns.
    half : bool
        True for half precision: sums may not wait in the output, which is too coarse for them.
    """

    images: int
    flat: int
    plane: int
    ic: int
    taps: int
    kernel_width: int
    rows: int
    block_n: int
    nnzb: int
    groups: int = 1
    residual: bool = False
    joined: bool = False
    staged: bool = False
    widens: bool = False
    repeats: bool = False
    aligned: bool = False
    halo: int = 0
    height: int = 0
    product: bool = False
    half: bool = False

    @property
    def is_dense(self) -> bool:
        """True when every block is kept: there are no indices to load."""
        return self.nnzb == self.rows * self.ic

    @property
    def results(self) -> int:
        """Planes written, and read as residual."""
        return self.rows * self.block_n * (1 + self.residual)


def predict(work: DirectWork, config: DirectConfig, target: Target) -> float:
    """Predicted cycles on one core."""
    compute, memory = compute_cycles(work, config, target), memory_cycles(work, config, target)
    return work.images * (max(compute, memory) + EXPOSED * min(compute, memory))


def compute_cycles(work: DirectWork, config: DirectConfig, target: Target) -> float:
    """Cycles of what a core starts, for one image."""
    tiles = cut(work.flat, lanes=config.lanes, vectors=config.vectors, singles=config.singles)
    cycles = tiles.count * _tile(work, config, tiles.whole, target)
    if tiles.rest:
        cycles += _tile(work, config, tiles.rest, target)
    moved = work.rows * work.block_n * work.height if work.staged and config.rows_outer else 0
    return work.block_n // config.reg_n * cycles + target.core_model.moved_row_cycles * moved


def _tile(work: DirectWork, config: DirectConfig, runs: tuple[Vectors, ...], target: Target) -> float:
    """Cycles of one tile in all rows of blocks."""
    reg_n, chunks, packed, known = config.reg_n, config.chunks, config.packed, target.core_model
    singles = sum(run.count for run in runs if run.by_channel)
    runs = tuple(run for run in runs if not run.by_channel)
    fmas = reg_n * sum(run.count for run in runs) + singles
    weights, weight_loads = _weights(config, target)
    loads = sum(run.count * _load(run, target, packed=packed, aligned=work.product) for run in runs) + weight_loads
    loads += singles * known.weight_load_cycles
    separate = 0 if reg_n == 1 and target.folds_load else fmas / reg_n
    instructions = fmas + separate + weights
    sets = set_count(fmas, sums_at_once(target)) if work.product and not config.by_lane else 1
    started = (
        sum(_start(reg_n * run.count, run.lanes, target, sets=sets) for run in runs) + singles / target.fma_per_cycle
    )
    if target.in_order:
        tap = started + loads
    else:
        tap = max(started, loads, (instructions + _BLOCK_INSTRUCTIONS / work.taps) / known.issue_width)
    epilogue = (
        known.accumulator_cycles * reg_n * sum(run.count * _width(run.lanes, target) for run in runs)
        + known.tile_cycles
    )
    epilogue += reg_n * singles
    if fmas > CROWDED * target.registers:
        epilogue += known.crowded_cycles
    if reg_n > _PLANES:
        epilogue += _MANY_PLANES
    # sums that wait in the output are loaded and stored as results are
    block = known.dense_block_cycles if work.is_dense else known.block_cycles
    return work.nnzb * (work.taps * tap + block) + work.rows * chunks * epilogue


def _weights(config: DirectConfig, target: Target) -> tuple[float, float]:
    """Instructions that bring the weights of a tap, and cycles of the load units for them."""
    known = target.core_model
    if config.by_lane:
        vectors = -(-config.reg_n // target.lanes)
        return vectors, vectors / target.loads_per_cycle
    return config.reg_n * known.weight_instructions, config.reg_n * known.weight_load_cycles


def sums_at_once(target: Target) -> int:
    """Sums that a core adds to at a time; 0 where it starts instructions in order, and loads ahead of their use."""
    return 0 if target.in_order else int(target.fma_latency * target.fma_per_cycle)


def _start(fmas: int, lanes: int, target: Target, *, sets: int = 1) -> float:
    """Cycles to start independent multiply-adds of one width; the next ones of a set wait for the results of these."""
    return max(fmas * _width(lanes, target) / target.fma_per_cycle, target.fma_latency / sets)


def _load(run: Vectors, target: Target, *, packed: bool, aligned: bool) -> float:
    """Cycles of a load: pixels lie anywhere, so one of a whole line always touches two, a half every other time.

    ``aligned``: planes begin at lines, and so do vectors.
    """
    lanes = run.lanes
    touched = _COPY_LOADS if packed else 1.0 if aligned and not run.start % lanes else 1 + lanes * 4 / _LINE_BYTES
    return touched * max(lanes / target.lanes, 0.5) / target.loads_per_cycle


def _width(lanes: int, target: Target) -> float:
    """Cycles of a multiply-add on vectors of this width, relative to a full one."""
    if lanes == target.lanes:
        return 1.0
    # where a full vector takes both halves of a unit, narrower ones start more often
    return max(lanes / target.lanes, _NARROW) if target.core_model.double_pumped else 1.0


def memory_cycles(work: DirectWork, config: DirectConfig, target: Target) -> float:
    """Cycles for what must come from beyond the first cache."""
    subs = work.block_n // config.reg_n
    tiles = -(-work.flat // config.tile)
    image = work.ic * work.plane * 4
    weights = work.nnzb * (work.block_n * work.taps * 4 + 4)
    if config.rows_outer:
        # every row streams its channels once per sub-row; the weights of a row are read once
        streamed = work.nnzb * subs * work.plane * 4
        reading = target.core_model.stream_factor * streamed / target.bandwidth(image)
        return reading + weights / target.bandwidth(target.l2_bytes + weights) + streamed_results(work, target)
    fetch = _lines(work.ic, config.tile, image, target) * (1 + (work.taps > 1))
    if config.packed:
        fetch += target.core_model.copied_vector_cycles * work.ic * config.vectors
    spread = 1.0 if config.packed else _spread(work, config)
    footprint = (
        spread * tile_bytes(work, config) / config.chunks * (1 if config.packed else target.core_model.set_factor)
    )
    share = _AGAIN.get(config.reg_n, target.core_model.reread_share)
    again = share * spread * work.nnzb * subs * config.tile * 4 / target.bandwidth(footprint)
    results = WRITTEN * _lines(work.results, config.tile, work.results * work.flat * 4, target)
    sums = work.rows * work.block_n * config.tile * 4
    results += 2 * (config.chunks - 1) * sums / target.bandwidth(sums + footprint)
    moved = streamed_results(work, target) if work.staged else 0.0
    return tiles * (fetch + results + again + weights / target.bandwidth(weights)) + moved


def _spread(work: DirectWork, config: DirectConfig) -> float:
    """Cache lines that a tile touches in a plane, relative to those that its pixels would fill."""
    lines = config.tile * 4 / _LINE_BYTES
    return 1 + (-lines % 1 if work.aligned else 1 - 4 / _LINE_BYTES) / lines


def tile_bytes(work: DirectWork, config: DirectConfig) -> float:
    """What a tile reads of all input channels."""
    return work.ic * (config.tile + work.taps // 2 + work.halo) * 4


def streamed_results(work: DirectWork, target: Target) -> float:
    """Cycles to write the output, and to read a residual, plane by plane."""
    nbytes = work.results * work.flat * 4
    return WRITTEN * nbytes / target.bandwidth(2 * nbytes)


def _lines(planes: int, pixels: int, footprint: float, target: Target) -> float:
    """Cycles to touch a tile of every plane: lines that no prefetcher foresees."""
    lines = planes * (pixels * 4 / _LINE_BYTES + 1)
    if footprint <= target.l1_bytes:
        return lines * 0.5
    return lines * (
        target.core_model.l2_line_cycles if footprint <= target.l2_bytes else target.core_model.l3_line_cycles
    )
