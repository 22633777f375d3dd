"""Depthwise convolutions and poolings: one plane in, one plane out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.layout import PlaneLayout, padded, scratch_width, split, split_height
from sparsecc.ir.operator import Window
from sparsecc.kernels.repack import RepackShape
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.window import argument_names
from sparsecc.kernels.window_combine import MAX, SUM, WEIGHTED, Combine
from sparsecc.kernels.window_schedule import schedule_window
from sparsecc.kernels.window_shape import UNROLLED_TAPS, WindowConfig, WindowShape
from sparsecc.lower.cost.window import tile_cycles, window_cycles
from sparsecc.lower.kernel import Cost, Knobs, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.numbers import window_numbers
from sparsecc.lower.site import Site, mask_of
from sparsecc.target import Target

#: what operators call the ways to combine values
COMBINES: dict[str, Combine] = {combine.name: combine for combine in (WEIGHTED, SUM, MAX)}
#: rows of a tile, and vectors side by side: code size; as vectors enough chains to hide a multiply-add's latency
_MOST_ROWS, _MOST_VECTORS = 8, 4
#: registers that weights may take (others are read again for each use), and that loaded pixels need
_WEIGHTS, _SPARE = 9, 3


def opened(site: Site[Any]) -> WindowShape:
    """The kernel's shape."""
    return shape_at(site, COMBINES[site.operator.combine])


def shape_at(site: Site[Any], combine: Combine) -> WindowShape:
    """The shape of a kernel that combines values in a way of its own."""
    operator, node = site.operator, site.node
    store = site.store(operator.epilogue)
    shape = window_shape(operator, combine, store, site.source, site.target, packs=node.packs)
    return replace(shape, in_place=node.in_place)


def key(site: Site[Any], shape: WindowShape) -> LayerKey:
    """What records call it."""
    return LayerKey(
        kind="window", spec=shape.spec, block_n=1, density=100, pattern="none", scattered=False,
        epilogue=str(shape.store.epilogue), pitch=(shape.source.pitch, shape.store.layout.pitch),
        combine=shape.combine.name, in_place=shape.in_place, adds_residual=shape.store.epilogue.adds_residual,
    )  # fmt: skip


def default(site: Site[Any], shape: WindowShape) -> WindowConfig:
    """The cost model's config."""
    return window_config(shape, site.target)


def space(site: Site[Any], shape: WindowShape) -> Iterator[WindowConfig]:
    """Every legal config; in place there is one."""
    return iter(()) if shape.in_place else window_space(shape, site.target)


def cycles(site: Site[Any], shape: WindowShape, config: WindowConfig) -> None:
    """No model compares configs: the default has the fewest loads and multiply-adds."""


def lower(site: Site[Any], shape: WindowShape, config: WindowConfig) -> Lowered:
    """Make the kernel."""
    node = site.node
    values: dict[str, int | NDArray[Any]] = {
        **window_constants(site.operator, shape.store),
        "input": node.inputs[0],
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(shape))
    return Lowered("window", ("window", shape, config), schedule_window(shape, config), arguments, config.knobs())


def cost(site: Site[Any], once: Once) -> Cost:
    """Cycles of the kernel by itself."""
    return cost_of(opened(site), site.target, once)


def cost_of(shape: WindowShape, target: Target, once: Once) -> Cost:
    """The same of a known shape."""

    def find() -> float:
        return window_cycles(shape, window_config(shape, target), target)

    return Cost("window", windows=once(("window", shape), find))


def window_shape(
    operator: Window, combine: Combine, store: StoreShape, source: PlaneLayout, target: Target, *, packs: bool
) -> WindowShape:
    """The kernel's shape for input planes that lie as ``source`` says."""
    spec = operator.spec
    scratch = _scratch(spec, source, store, target, fill=operator.fill) if packs else None
    return WindowShape(spec, source, store, combine, scratch, dtype=store.dtype)


def most_rows(spec: ConvSpec, target: Target) -> int:
    """Rows of a tile that registers have room for, beside weights and loaded pixels."""
    return target.registers - min(spec.taps, _WEIGHTS) - _SPARE


def place_lanes(spec: ConvSpec, target: Target) -> int | None:
    """Width of a vector that has all of a row, if there is one."""
    return next((n for n in (4, 8, 16) if spec.ow <= n <= target.lanes), None)


def may_work_in_place(spec: ConvSpec, target: Target) -> bool:
    """Whether there is a kernel for a window in its input's place; who else reads that, and layouts, may forbid it."""
    if not spec.is_depthwise or spec.stride != (1, 1) or spec.oc != spec.ic:
        return False
    is_one_tile = spec.taps <= UNROLLED_TAPS and spec.oh <= most_rows(spec, target)
    return is_one_tile and place_lanes(spec, target) is not None


def window_config(shape: WindowShape, target: Target) -> WindowConfig:
    """Tiles of the number of rows with the fewest loads and multiply-adds; runs of pixels for large windows.

    In place a plane is one tile.
    """
    if shape.in_place:
        lanes = place_lanes(shape.spec, target)
        assert lanes is not None, "only rows of one vector are written where they were read"
        return WindowConfig(lanes, 1, shape.spec.oh)
    if shape.spec.taps > UNROLLED_TAPS:
        lanes = min(target.lanes, shape.store.flat)
        return WindowConfig(lanes, max(1, min(_MOST_VECTORS, shape.store.flat // lanes)), rows=0)
    spec, read = shape.spec, shape.scratch.target if shape.scratch else shape.source
    most = max(1, min(spec.oh, most_rows(spec, target)))

    def cost(rows: int) -> float:
        return -(-spec.oh // rows) * tile_cycles(spec, read, rows, target)

    rows = min(range(1, min(most, _MOST_ROWS) + 1), key=cost)
    return WindowConfig(target.lanes, 1, rows)


def window_space(shape: WindowShape, target: Target) -> Iterator[WindowConfig]:
    """Every legal config: tiles of rows, or runs of pixels where the window is too large to unroll."""
    if shape.spec.taps > UNROLLED_TAPS:
        lanes = min(target.lanes, shape.store.flat)
        for vectors in range(1, min(_MOST_VECTORS, shape.store.flat // lanes) + 1):
            yield WindowConfig(lanes, vectors, rows=0)
        return
    for lanes in sorted({target.lanes, max(4, target.lanes // 2)}, reverse=True):
        for rows in range(1, min(shape.spec.oh, _MOST_ROWS) + 1):
            yield WindowConfig(lanes, 1, rows)


def window_constants(operator: Window, store: StoreShape) -> dict[str, NDArray[Any]]:
    """Constant arguments by name."""
    constants = operator.constants(store.layout)
    if "data" in constants:
        constants["data"] = constants["data"].astype(store.dtype, copy=False)
    return {"mask": mask_of(store), **constants}


def _scratch(
    spec: ConvSpec, source: PlaneLayout, store: StoreShape, target: Target, *, fill: float = 0.0
) -> RepackShape:
    """Scratch memory for one plane, with the pitch of the output where the kernel walks over the ends of rows."""
    pitch = store.layout.pitch if spec.taps > UNROLLED_TAPS else scratch_width(spec)
    if spec.stride == (1, 1):
        planes = padded(spec.ih, spec.iw, halo=spec.padding, pitch=pitch)
        return RepackShape(1, source, planes, spec.ih, fill, target.lanes, store.dtype)
    return RepackShape(1, source, split(spec, pitch=pitch), split_height(spec), fill, target.lanes, store.dtype)


#: what is open in a window kernel
KNOBS = Knobs(key, default, space, cycles, numbers=window_numbers, stored={"window": WindowConfig.read})
