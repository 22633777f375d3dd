"""Cost model of depthwise convolutions and poolings: what a tile starts in a cycle, and planes that stream by."""

from __future__ import annotations

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.tiles import cut
from sparsecc.kernels.window_rows import loads, row_width, widest
from sparsecc.kernels.window_shape import WindowConfig, WindowShape
from sparsecc.lower.cost.direct import WRITTEN
from sparsecc.lower.cost.stream import repack_cycles
from sparsecc.target import Target

#: cycles around a tile's arithmetic: addresses, bias, latency at its end
_TILE_CYCLES = 12.0
#: the same of a tile among others, whose latency hides behind theirs; and to finish and store a vector
_BESIDE, _STORE = 4.0, 0.5
#: share of the hidden one of compute and memory that shows
_EXPOSED = 0.25


def tile_cycles(spec: ConvSpec, read: PlaneLayout, rows: int, target: Target) -> float:
    """Cycles of a tile by itself, by which its rows are chosen: one vector of pixels in each of ``rows`` rows."""
    return _started(spec, read, rows, target, lanes=target.lanes) + _TILE_CYCLES


def window_cycles(shape: WindowShape, config: WindowConfig, target: Target) -> float:
    """Predicted cycles of the kernel by itself on one core."""
    spec = shape.spec
    compute = arithmetic_cycles(shape, config, target)
    read = 4 * spec.n * spec.ic * shape.source.channel
    results = 4 * spec.n * spec.oc * shape.store.flat
    seen = read if shape.in_place else read + results * (1 + (shape.store.residual is not None))
    memory = (read + results * WRITTEN) / target.bandwidth(seen)
    return max(compute, memory) + _EXPOSED * min(compute, memory)


def arithmetic_cycles(shape: WindowShape, config: WindowConfig, target: Target) -> float:
    """Cycles of all planes, with their copies into scratch memory where the kernel makes them."""
    planes, spec = shape.spec.n * shape.spec.oc, shape.spec
    packing = 0.0 if shape.scratch is None else repack_cycles(shape.scratch, target, cached=True)
    read = shape.scratch.target if shape.scratch else shape.source
    if not config.rows:
        tiles = -(-shape.store.flat // config.tile)
        vector = max(1 / target.fma_per_cycle, 2 / target.loads_per_cycle)
        return planes * (packing + tiles * (spec.taps * config.vectors * vector + _TILE_CYCLES))
    band = sum(
        _started(spec, read, config.rows, target, lanes=lanes) + _BESIDE + _STORE * config.rows
        for lanes in _widths(shape, config)
    )
    return planes * (packing + -(-spec.oh // config.rows) * band)


def _widths(shape: WindowShape, config: WindowConfig) -> list[int]:
    """Lanes of the vectors of a row."""
    if shape.in_place:
        return [config.lanes]
    columns = cut(row_width(shape, config.lanes), lanes=widest(shape.store.layout.w, config.lanes), vectors=1)
    return [columns.lanes] * columns.count + [run.lanes for run in columns.rest for _ in range(run.count)]


def _started(spec: ConvSpec, read: PlaneLayout, rows: int, target: Target, *, lanes: int) -> float:
    """Cycles to start a tile's multiply-adds and loads.

    A vector of pixels lies across two cache lines: loading one takes as long as two. Where a full vector takes both
    halves of a unit, one of half the width takes half the time.
    """
    arithmetic, loading = rows * spec.taps / target.fma_per_cycle, 2 * len(loads(spec, read, rows))
    halves = target.core_model.double_pumped and 2 * lanes <= target.lanes
    return max(arithmetic, loading / target.loads_per_cycle) / (1 + halves)
