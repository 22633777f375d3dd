"""Tiles of the direct kernel: all that may be good, and the one that the cost model thinks best.

A search varies what is beside a tile, too: :mod:`sparsecc.lower.conv_space`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower.cost.direct import DirectWork, predict, tile_bytes
from sparsecc.target import Target

#: registers that the compiler needs between the loads of several unrolled taps
_FREE_FOR_TAPS = 3
#: ... and for vectors of pixels on their way, where one channel uses them
_IN_FLIGHT = 4
#: ... and in a tile that also has single pixels
_SPARE = 2
#: runs of input channels
_CHUNKS = (2, 4, 8, 16, 32)
#: weights, and vectors of pixels, of a tap that there are registers for when taps are unrolled and a weight fills one
_MOST_OF_A_TAP = 6
#: ... and taps whose addresses it has registers for: those of 5x5 cost more than a loop over rows of the kernel
_MOST_TAPS = 9
#: taps of half precision: weights by lane have 16 registers of 32, and with 7x7 taps each multiply-add reloaded pixels
_MOST_HALF_TAPS = 25
#: registers that loads ahead of their use need
_LEAST_AHEAD = 32
#: channels whose weights fill vectors
_BY_LANE = (2, 4, 8)
#: single pixels in the last tile, and channels that make them worth a vector
_MOST_SINGLES, _LEAST_SINGLE = 4, 4
#: beyond this many unrolled multiply-adds a block's code no longer fits the decoded-instruction cache
_MAX_UNROLLED = 1200


def best_config(work: DirectWork, target: Target) -> DirectConfig:
    """The config with the least predicted time.

    Runs of input channels are left to a search but for single channels and copies: a Zen 3 gained a tenth from them
    there (1x1, 1024 to 256 at 14x14, 90 % of the weights pruned), and with N = 4 nothing.
    """
    space = direct_space(work, target)
    usual = (config for config in space if config.chunks == 1 or config.reg_n == 1 or config.packed)
    return min(usual, key=lambda config: predict(work, config, target))


def direct_space(work: DirectWork, target: Target) -> Iterator[DirectConfig]:
    """Every tile whose accumulators fit the registers, and that fits the plane."""
    widths = {min(lanes, work.flat) for lanes in (target.lanes, target.lanes // 2, 4) if lanes >= 4}
    for lanes in sorted(widths, reverse=True):
        for reg_n in _register_rows(work, target):
            for vectors in range(1, 17):
                free = target.registers - reg_n * vectors - _pixels(reg_n, vectors, target)
                if free < target.core_model.spare_registers or lanes * (vectors - 1) >= work.flat:
                    continue
                if work.taps > 1 and not target.core_model.loops_over_taps and free < _FREE_FOR_TAPS:
                    continue
                if target.core_model.register_per_weight and not _fits_weights(reg_n, vectors, work.taps, target):
                    continue
                unroll = work.taps * reg_n * vectors <= _MAX_UNROLLED and _unrolls(work.taps, target, free)
                unroll = unroll and not (work.half and work.taps > _MOST_HALF_TAPS)
                for rows_outer in (True, False) if _may_walk_tiles(work) else (True,):
                    ahead = unroll and lanes == target.lanes and loads_ahead(target) and not work.half
                    by_lane = not ahead and reg_n in _BY_LANE and target.core_model.weights_by_lane
                    config = DirectConfig(lanes, vectors, reg_n, rows_outer, unroll, ahead=ahead, by_lane=by_lane)
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

    Between them the compiler needs some registers; where each weight fills one it takes care to need none.
    """
    return taps <= _MOST_TAPS if target.core_model.register_per_weight else taps == 1 or free >= _FREE_FOR_TAPS


def _fits_weights(reg_n: int, vectors: int, taps: int, target: Target) -> bool:
    """Whether there are registers for sums, for pixels, and for one weight after another."""
    return (reg_n + 1) * vectors + 1 <= target.registers and (taps == 1 or max(reg_n, vectors) <= _MOST_OF_A_TAP)


def _singles(work: DirectWork, config: DirectConfig, target: Target) -> int:
    """Pixels that whole vectors leave over, if they may be computed one by one."""
    left = work.flat % config.lanes
    registers = config.reg_n * config.vectors + max(config.vectors, left) + left + _SPARE
    fits = left <= _MOST_SINGLES and registers <= target.registers
    fits = fits and not target.core_model.register_per_weight
    wide = config.lanes == target.lanes and _LEAST_SINGLE <= config.reg_n <= target.lanes
    wide = wide and target.lanes % config.reg_n == 0
    return left if fits and wide and not work.joined and work.flat >= config.lanes else 0


def _chunks(work: DirectWork, config: DirectConfig, target: Target) -> Iterator[int]:
    """Runs of input channels worth a try: where a tile of all channels is more than the first cache holds."""
    if config.rows_outer or config.ahead or work.groups > 1 or work.repeats or work.half:
        return
    for chunks in _CHUNKS:
        if work.ic % chunks or tile_bytes(work, config) * 2 < target.l1_bytes * chunks:
            return
        yield chunks


def _register_rows(work: DirectWork, target: Target) -> list[int]:
    """Output channels that may be in registers at a time."""
    return [n for n in range(1, 17) if work.block_n % n == 0 and n + 1 + _SPARE <= target.registers]
