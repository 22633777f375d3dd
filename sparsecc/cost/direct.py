"""Cost model of the direct kernel: a roofline whose compute side counts what a core can start in a cycle.

Time of a tile's pass over a row of blocks is the kept taps times the slowest of its multiply-adds, its loads and its
instructions, plus a price for each kept block, for starting (bias, first loads) and for storing. Time of memory is what
must come from beyond the first cache. The larger one counts in full, a part of the other one too, because
out-of-order execution hides most but not all of it.

Constants without another source were fitted to 3000 timings of 230 layers (1x1 and 3x3, 7 to 112 pixels, N = 4 and 16
at 50, 75 and 90 % and dense) on one core of a Zen 4 with AVX-512: the config picked is 4 % slower than the best of the
space in the mean, which includes some noise, and more than 10 % slower for a tenth of the layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.tiles import Vectors, cut
from sparsecc.target import Target

#: instructions a core can start in a cycle
WIDTH = 6
#: index load, address arithmetic, loop control: instructions a kept block adds
_BLOCK_INSTRUCTIONS = 6
#: cycles that a kept block costs beside its multiply-adds: the address of its channel is loaded, then used
BLOCK = 1.3
#: cycles to begin a tile, and for the start and the store of an accumulator
RESTART, _ACCUMULATOR = 12.0, 2.0
#: above this share of the registers as accumulators a tile's end no longer overlaps with the next one's start
_CROWDED, _CROWDED_CYCLES = 0.65, 100.0
#: planes that a tile stores to without their lines pushing one another out of the first cache; cycles for more
_PLANES, _MANY_PLANES = 8, 15.0
#: share of the hidden one of compute and memory that shows
EXPOSED = 0.14
#: cycles for a cache line that no prefetcher sees coming, several misses in flight
_L2_LINE, _L3_LINE = 6.0, 8.0
#: how much slower than plain streaming planes are read row by row of blocks, and results are written
_STREAMED, WRITTEN = 1.4, 1.7
#: share of the first cache's misses that shows when a tile's pixels are read again, by channels in registers: with one
#: of them every multiply-add is a load
_AGAIN, _AGAIN_MANY = {1: 1.0, 2: 0.7}, 0.4
_LINE_BYTES = 64
#: cycles to copy a vector
_COPIED = 1.5
#: half vectors on a core whose full ones take two halves: measured 1.3 times as fast, not twice
_NARROW = 0.75
#: registers that the compiler needs besides accumulators and pixels, or it reloads pixels for every multiply-add: by
#: whether a weight is broadcast by the multiply-add itself
_LEAST_FREE = {True: 2, False: 1}
#: ... and between the loads of several unrolled taps
_FREE_FOR_TAPS = 3
#: ... and for vectors of pixels on their way, where one channel uses them
_IN_FLIGHT = 4
#: ... and in a tile that also has single pixels
_SPARE = 2
#: runs of input channels
_CHUNKS = (2, 4, 8, 16, 32)
#: weights, and vectors of pixels, of a tap that 32-bit ARM has registers for when taps are unrolled
_MOST_OF_A_TAP = 6
#: ... and taps whose addresses it has registers for: those of 5x5 cost more than a loop over rows of the kernel
_MOST_TAPS = 9
#: registers that loads ahead of their use need
_LEAST_AHEAD = 32
#: single pixels in the last tile, and channels that make them worth a vector
_MOST_SINGLES, _LEAST_SINGLE = 4, 4
#: beyond this many unrolled multiply-adds a block's code no longer fits the decoded-instruction cache
_MAX_UNROLLED = 1200


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

    @property
    def results(self) -> int:
        """Planes written, and read as residual."""
        return self.rows * self.block_n * (1 + self.residual)


def best_config(work: DirectWork, target: Target) -> DirectConfig:
    """The config with the least predicted time.

    Runs of input channels are left to a search but for single channels and copies: a Zen 3 gained a tenth from them
    there (1x1, 1024 to 256 at 14x14, 90 % of the weights pruned), and with N = 4 nothing.
    """
    space = direct_space(work, target)
    usual = (config for config in space if config.chunks == 1 or config.reg_n == 1 or config.packed)
    return min(usual, key=lambda config: predict(work, config, target))


def direct_space(work: DirectWork, target: Target) -> Iterator[DirectConfig]:
    """Every legal config: the accumulators fit the registers, a tile fits the plane."""
    widths = {min(lanes, work.flat) for lanes in (target.lanes, target.lanes // 2, 4) if lanes >= 4}
    for lanes in sorted(widths, reverse=True):
        for reg_n in _register_rows(work, target):
            for vectors in range(1, 17):
                free = target.registers - reg_n * vectors - _pixels(reg_n, vectors, target)
                if free < _LEAST_FREE[target.folds_broadcast] or lanes * (vectors - 1) >= work.flat:
                    continue
                if work.taps > 1 and target.folds_broadcast and free < _FREE_FOR_TAPS:
                    continue
                if _is_small(target) and not _fits_small(reg_n, vectors, work.taps, target):
                    continue
                unroll = work.taps * reg_n * vectors <= _MAX_UNROLLED and _unrolls(work.taps, target, free)
                for rows_outer in (True, False) if _may_walk_tiles(work) else (True,):
                    ahead = unroll and lanes == target.lanes and loads_ahead(target)
                    config = DirectConfig(lanes, vectors, reg_n, rows_outer, unroll, ahead=ahead)
                    yield from _variants(work, config, target)


def _may_walk_tiles(work: DirectWork) -> bool:
    """Whether a tile may have all rows of blocks before the next one."""
    return not work.joined and (not work.staged or (work.widens and not work.repeats))


def _variants(work: DirectWork, config: DirectConfig, target: Target) -> Iterator[DirectConfig]:
    """A tile with single pixels, with runs of input channels, and reading a copy."""
    singles = _singles(work, config, target)
    variants = [config, *([replace(config, singles=singles)] if singles else [])]
    variants += [replace(config, chunks=chunks) for chunks in _chunks(work, config, target)]
    yield from variants
    if not config.rows_outer and work.halo == 0 and work.taps == 1 and work.groups == 1 and not target.in_order:
        yield from (replace(variant, packed=True) for variant in variants)


def _pixels(reg_n: int, vectors: int, target: Target) -> int:
    """Registers for pixels: with one channel each is used once, at once or by the multiply-add that loads it."""
    if reg_n > 1:
        return vectors
    return 1 if target.folds_load else min(vectors, _IN_FLIGHT)


def loads_ahead(target: Target) -> bool:
    """Whether loads are worth an order of their own: where the core has none, and registers for weights twice."""
    return target.in_order and target.registers >= _LEAST_AHEAD


def _unrolls(taps: int, target: Target, free: int) -> bool:
    """Whether the loads of several taps leave the accumulators in their registers.

    Between them the compiler needs some registers; on 32-bit ARM it takes care to need none.
    """
    return taps <= _MOST_TAPS if _is_small(target) else taps == 1 or free >= _FREE_FOR_TAPS


def _is_small(target: Target) -> bool:
    """32-bit ARM: every weight takes a register, a load and a broadcast in one."""
    return target.lanes == 4 and target.registers == 16


def _fits_small(reg_n: int, vectors: int, taps: int, target: Target) -> bool:
    """Whether 32-bit ARM has registers for sums, for pixels, and for one weight after another."""
    return (reg_n + 1) * vectors + 1 <= target.registers and (taps == 1 or max(reg_n, vectors) <= _MOST_OF_A_TAP)


def _singles(work: DirectWork, config: DirectConfig, target: Target) -> int:
    """Pixels that whole vectors leave over, if they may be computed one by one."""
    left = work.flat % config.lanes
    registers = config.reg_n * config.vectors + max(config.vectors, left) + left + _SPARE
    fits = left <= _MOST_SINGLES and registers <= target.registers
    fits = fits and not _is_small(target)
    wide = config.lanes == target.lanes and _LEAST_SINGLE <= config.reg_n <= target.lanes
    wide = wide and target.lanes % config.reg_n == 0
    return left if fits and wide and not work.joined and work.flat >= config.lanes else 0


def _chunks(work: DirectWork, config: DirectConfig, target: Target) -> Iterator[int]:
    """Runs of input channels worth a try: where a tile of all channels is more than the first cache holds."""
    if config.rows_outer or config.ahead or work.groups > 1 or work.repeats:
        return
    for chunks in _CHUNKS:
        if work.ic % chunks or _tile_bytes(work, config) * 2 < target.l1_bytes * chunks:
            return
        yield chunks


def _register_rows(work: DirectWork, target: Target) -> list[int]:
    """Output channels that may be in registers at a time."""
    return [n for n in range(1, 17) if work.block_n % n == 0 and n + 1 + _SPARE <= target.registers]


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
    return work.block_n // config.reg_n * cycles


def _tile(work: DirectWork, config: DirectConfig, runs: tuple[Vectors, ...], target: Target) -> float:
    """Cycles of one tile in all rows of blocks."""
    reg_n, chunks, packed = config.reg_n, config.chunks, config.packed
    singles = sum(run.count for run in runs if run.by_channel)
    runs = tuple(run for run in runs if not run.by_channel)
    fmas = reg_n * sum(run.count for run in runs) + singles
    weight = 1 / target.loads_per_cycle if _is_small(target) else 0.5
    loads = sum(run.count * _load(run.lanes, target, packed=packed) for run in runs) + (reg_n + singles) * weight
    separate = 0 if reg_n == 1 and target.folds_load else fmas / reg_n
    instructions = fmas + separate + reg_n * (not target.folds_broadcast)
    started = sum(_start(reg_n * run.count, run.lanes, target) for run in runs) + singles / target.fma_per_cycle
    if target.in_order:
        tap = started + loads
    else:
        tap = max(started, loads, (instructions + _BLOCK_INSTRUCTIONS / work.taps) / WIDTH)
    epilogue = _ACCUMULATOR * reg_n * sum(run.count * _width(run.lanes, target) for run in runs) + RESTART
    epilogue += reg_n * singles
    if target.folds_broadcast and not target.in_order and fmas > _CROWDED * target.registers:
        epilogue += _CROWDED_CYCLES
    if reg_n > _PLANES:
        epilogue += _MANY_PLANES
    # sums that wait in the output are loaded and stored as results are
    return work.nnzb * (work.taps * tap + BLOCK) + work.rows * chunks * epilogue


def _start(fmas: int, lanes: int, target: Target) -> float:
    """Cycles to start independent multiply-adds of one width; the next ones wait for the results of these."""
    return max(fmas * _width(lanes, target) / target.fma_per_cycle, target.fma_latency)


def _load(lanes: int, target: Target, *, packed: bool) -> float:
    """Cycles of a load: pixels lie anywhere, so one of a whole line always touches two, a half every other time."""
    touched = 1 if packed else 1 + lanes * 4 / _LINE_BYTES
    return touched * max(lanes / target.lanes, 0.5) / target.loads_per_cycle


def _width(lanes: int, target: Target) -> float:
    """Cycles of a multiply-add on vectors of this width, relative to a full one."""
    if lanes == target.lanes:
        return 1.0
    # where a full vector takes both halves of a unit, narrower ones start more often
    return max(lanes / target.lanes, _NARROW) if target.fma_per_cycle == 1 else 1.0


def memory_cycles(work: DirectWork, config: DirectConfig, target: Target) -> float:
    """Cycles for what must come from beyond the first cache."""
    subs = work.block_n // config.reg_n
    tiles = -(-work.flat // config.tile)
    image = work.ic * work.plane * 4
    weights = work.nnzb * (work.block_n * work.taps * 4 + 4)
    if config.rows_outer:
        # every row streams its channels once per sub-row; the weights of a row are read once
        streamed = work.nnzb * subs * work.plane * 4
        reading = _STREAMED * streamed / target.bandwidth(image) + weights / target.bandwidth(target.l2_bytes + weights)
        return reading + streamed_results(work, target)
    tile_bytes = _tile_bytes(work, config) / config.chunks
    if config.packed:
        tile_bytes *= _dense_lines(work, config)
    fetch = _lines(work.ic, config.tile, image, target) * (1 + (work.taps > 1))
    share = _AGAIN.get(config.reg_n, _AGAIN_MANY)
    again = share * work.nnzb * subs * config.tile * 4 / target.bandwidth(tile_bytes)
    if config.packed:
        again *= _dense_lines(work, config)
        fetch += _COPIED * work.ic * config.vectors
    results = WRITTEN * _lines(work.results, config.tile, work.results * work.flat * 4, target)
    sums = work.rows * work.block_n * config.tile * 4
    results += 2 * (config.chunks - 1) * sums / target.bandwidth(sums + tile_bytes)
    moved = streamed_results(work, target) if work.staged else 0.0
    return tiles * (fetch + results + again + weights / target.bandwidth(weights)) + moved


def _dense_lines(work: DirectWork, config: DirectConfig) -> float:
    """Cache lines of a tile's copy relative to those that it touches in the input."""
    lines = config.tile * 4 / _LINE_BYTES
    return lines / (lines + (-lines % 1 if work.aligned else 1 - 4 / _LINE_BYTES))


def _tile_bytes(work: DirectWork, config: DirectConfig) -> float:
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
    return lines * (_L2_LINE if footprint <= target.l2_bytes else _L3_LINE)
