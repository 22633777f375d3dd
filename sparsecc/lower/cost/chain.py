"""What a convolution and the window kernel after it take as one kernel and as two."""

from __future__ import annotations

import math
from dataclasses import replace

from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.shares import LEAST_FLOATS
from sparsecc.lower.cost.decide import dense_block_sizes, dense_work, least_cycles, sparse_work
from sparsecc.lower.cost.direct import (
    EXPOSED,
    WRITTEN,
    DirectWork,
    compute_cycles,
    memory_cycles,
    predict,
    streamed_results,
)
from sparsecc.lower.cost.direct_space import best_config
from sparsecc.target import Target

#: parts that an image may be cut into, and the share of the convolution's rows that may be computed twice for that
_MOST_PARTS, _MOST_TWICE = 8, 0.04
#: share of the second cache that what a part reads of the input may take
_L2_SHARE = 0.5
#: fewer pieces of work than this leave threads idle
_LEAST_TASKS = 4


def join_cycles(spec: ConvSpec, structure: Structure | None, window: ConvSpec, target: Target) -> tuple[float, float]:
    """Cycles of a convolution (``structure`` is None for a dense one) joined with the window kernel after it; apart.

    The window kernel's own cycles are in neither, those of writing and reading the tensor between them in the second:
    a joined kernel saves that. In exchange the convolution must walk row by row of blocks, which is slower where a tile
    of the image should stay in the cache, and compute the gaps that the window's padding needs between rows. Infinite
    where joining would leave threads idle.
    """
    works = (
        [dense_work(spec, block_n=n) for n in dense_block_sizes(spec)]
        if structure is None
        else [sparse_work(spec, structure)]
    )
    alone = min(least_cycles(spec, work, target) for work in works)
    joined, work, config = min(
        ((predict(work, config, target), work, config) for work, config in _row_by_row(works, spec, window, target)),
        key=lambda found: found[0],
    )
    nbytes = 4 * spec.oc * spec.oh * spec.ow
    saved = spec.n * 2 * nbytes / target.bandwidth(2 * nbytes)
    tasks = spec.n * work.rows * (work.block_n // config.reg_n)
    return joined if tasks >= _LEAST_TASKS else math.inf, alone + saved


def plane_parts(window: ConvSpec, *, bands: int, floats: int, image_bytes: int, target: Target) -> int:
    """Parts to cut an image into: one for each of two threads, more where the input would not stay in the cache.

    Parameters
    ----------
    window : ConvSpec
        Of the window kernel.
    bands : int
        Bands of its rows.
    floats : int
        Of a plane that it writes.
    image_bytes : int
        Of the convolution's input.
    target : Target
    """
    twice = max(0, (window.kh - 1) * window.dilation[0] + 1 - window.stride[0])
    parts = 1
    while 2 * parts <= _MOST_PARTS and bands % (2 * parts) == 0 and (2 * parts - 1) * twice <= _MOST_TWICE * window.ih:
        fits = image_bytes <= parts * _L2_SHARE * target.l2_bytes
        if floats < LEAST_FLOATS or (parts > 1 and fits):
            break
        parts *= 2
    return parts


def chain_cycles(work: DirectWork, config: DirectConfig, *, results: float, target: Target) -> float:
    """Predicted cycles of a chain's convolution alone, with the window kernel's output in the place of its own.

    Parameters
    ----------
    work : DirectWork
        Of the convolution; what it stores stays in the first cache.
    config : DirectConfig
    results : float
        Bytes that the window kernel writes for an image.
    target : Target
    """
    compute = compute_cycles(work, config, target)
    written = WRITTEN * results / target.bandwidth(2 * results)
    memory = memory_cycles(work, config, target) - streamed_results(work, target) + written
    return work.images * (max(compute, memory) + EXPOSED * min(compute, memory))


def _row_by_row(
    works: list[DirectWork], spec: ConvSpec, window: ConvSpec, target: Target
) -> list[tuple[DirectWork, DirectConfig]]:
    _, left, _, right = (max(sides) for sides in zip(spec.padding, window.padding, strict=True))
    flat = (spec.oh - 1) * (spec.ow + max(left, right)) + spec.ow
    row_by_row = [replace(work, joined=True, flat=flat) for work in works]
    return [(work, best_config(work, target)) for work in row_by_row]
