"""Configs of a convolution's kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sparsecc.ir.conv import ConvSpec
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower.config import ConvConfig
from sparsecc.lower.cost.channel_lanes import lane_space
from sparsecc.lower.cost.direct import DirectWork
from sparsecc.lower.cost.direct_space import direct_space
from sparsecc.target import Target

#: floats ahead of their use at which weights may be asked for
_PREFETCH = (0, 256, 512, 1024)
#: weights of fewer bytes stay in the first cache: nothing to ask for
_LEAST_PREFETCHED = 32 << 10
#: unrolled multiply-adds of a block beyond which code takes longer to make than it can save; the default unrolls less
_MOST_UNROLLED = 2400


def conv_space(spec: ConvSpec, works: Mapping[int, DirectWork], target: Target) -> Iterator[ConvConfig]:
    """Every legal config.

    Parameters
    ----------
    spec : ConvSpec
    works : mapping of int to DirectWork
        Output channels of a row of blocks -> the work it makes: one entry for a pruned layer, several for a dense one.
    target : Target
    """
    for block_n, work in works.items():
        for config in direct_space(work, target):
            for varied in _varied(config, work):
                yield ConvConfig(block_n, varied)
        if block_n == target.lanes and not work.joined and not work.half:
            for lanes in lane_space(spec, target):
                for distance in _distances(work):
                    yield ConvConfig(block_n, replace(lanes, prefetch=distance))


def _varied(config: DirectConfig, work: DirectWork) -> Iterator[DirectConfig]:
    unrolled = work.taps * config.reg_n * config.vectors
    for unroll in (True, False) if work.taps > 1 else (config.unroll_taps,):
        if unroll and unrolled > _MOST_UNROLLED:
            continue
        for distance in _distances(work):
            for ahead in (True, False) if config.ahead and unroll else (False,):
                yield replace(config, unroll_taps=unroll, prefetch=distance, ahead=ahead)


def _distances(work: DirectWork) -> tuple[int, ...]:
    return _PREFETCH if work.nnzb * work.block_n * work.taps * 4 >= _LEAST_PREFETCHED else (0,)
