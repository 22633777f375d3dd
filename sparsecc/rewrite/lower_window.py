"""Depthwise convolutions and poolings: one plane in, one plane out."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.cost.window import tile_cycles
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.epilogue import Epilogue
from sparsecc.facts.graph import FusedConv
from sparsecc.facts.layer import PoolLayer
from sparsecc.facts.layer_key import LayerKey
from sparsecc.facts.layout import PlaneLayout, padded, split, split_height
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.kernels.repack import RepackShape
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.window import argument_names
from sparsecc.kernels.window_shape import UNROLLED_TAPS, WindowConfig, WindowShape
from sparsecc.rewrite.choice import Choice, Choose, by_cost_model
from sparsecc.rewrite.layout import scratch_width
from sparsecc.rewrite.lower_conv import image, mask_of, store_shape
from sparsecc.rewrite.lowered import Lowered
from sparsecc.schedule.window import schedule_window
from sparsecc.spaces.window import window_space
from sparsecc.target import Target

#: vectors of a tile: enough chains to hide a multiply-add's latency, few enough for small planes
_VECTORS = 4
#: rows of a tile: code size again
_MOST_ROWS = 8
#: registers that weights may take (others are read again for each use), and that loaded pixels need
_WEIGHTS, _SPARE = 9, 3


def lower_depthwise(
    node: PlacedNode, operator: FusedConv, placed: Placed, target: Target, choose: Choose = by_cost_model
) -> Lowered:
    """Lower a depthwise convolution."""
    store = store_shape(node, placed, operator.epilogue)
    return _lower(node, operator, store, image(placed, node.inputs[0]), target, choose)


def lower_pool(
    node: PlacedNode, layer: PoolLayer, placed: Placed, target: Target, choose: Choose = by_cost_model
) -> Lowered:
    """Lower a pooling."""
    return _lower(node, layer, store_shape(node, placed, Epilogue()), image(placed, node.inputs[0]), target, choose)


def window_shape(
    operator: FusedConv | PoolLayer, store: StoreShape, source: PlaneLayout, target: Target, *, packs: bool
) -> WindowShape:
    """The kernel's shape for input planes that lie as ``source`` says."""
    spec = operator.spec
    scratch = _scratch(spec, source, store.layout, target, fill=operator.fill) if packs else None
    return WindowShape(spec, source, store, operator.combine, scratch)


def most_rows(spec: ConvSpec, target: Target) -> int:
    """Rows of a tile that registers have room for, beside weights and loaded pixels."""
    return target.registers - min(spec.taps, _WEIGHTS) - _SPARE


def place_lanes(spec: ConvSpec, target: Target) -> int | None:
    """Width of a vector that has all of a row, if there is one."""
    return next((n for n in (4, 8, 16) if spec.ow <= n <= target.lanes), None)


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
        return WindowConfig(lanes, max(1, min(_VECTORS, shape.store.flat // lanes)), rows=0)
    spec, read = shape.spec, shape.scratch.target if shape.scratch else shape.source
    most = max(1, min(spec.oh, most_rows(spec, target)))

    def cost(rows: int) -> float:
        return -(-spec.oh // rows) * tile_cycles(spec, read, rows, target)

    rows = min(range(1, min(most, _MOST_ROWS) + 1), key=cost)
    return WindowConfig(target.lanes, 1, rows)


def window_constants(operator: FusedConv | PoolLayer, store: StoreShape) -> dict[str, NDArray[Any]]:
    """Constant arguments by name."""
    constants: dict[str, NDArray[Any]] = {"mask": mask_of(store.layout)}
    if isinstance(operator, FusedConv):
        return {**constants, "data": operator.layer.weight.reshape(-1), "bias": operator.layer.bias}
    if operator.combine == "sum":
        constants["scale"] = _scale(operator, store.layout)
    return constants


def _scratch(
    spec: ConvSpec, source: PlaneLayout, output: PlaneLayout, target: Target, *, fill: float = 0.0
) -> RepackShape:
    """Scratch memory for one plane, with the pitch of the output where the kernel walks over the ends of rows."""
    pitch = output.pitch if spec.taps > UNROLLED_TAPS else scratch_width(spec)
    if spec.stride == (1, 1):
        planes = padded(spec.ih, spec.iw, halo=spec.padding, pitch=pitch)
        return RepackShape(1, source, planes, spec.ih, fill, target.lanes)
    return RepackShape(1, source, split(spec, pitch=pitch), split_height(spec), fill, target.lanes)


def _lower(
    node: PlacedNode,
    operator: FusedConv | PoolLayer,
    store: StoreShape,
    source: PlaneLayout,
    target: Target,
    choose: Choose,
) -> Lowered:
    shape = replace(window_shape(operator, store, source, target, packs=node.packs), in_place=node.in_place)
    config = choose(_choice(shape, target))
    assert isinstance(config, WindowConfig), "a window kernel's choice gives its config"
    values: dict[str, int | NDArray[Any]] = {
        **window_constants(operator, store),
        "input": node.inputs[0],
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(shape))
    return Lowered("window", ("window", shape, config), schedule_window(shape, config), arguments, asdict(config))


def _choice(shape: WindowShape, target: Target) -> Choice:
    default, spec = window_config(shape, target), shape.spec
    key = LayerKey(
        kind="window", spec=spec, block_n=1, density=100, pattern="none", scattered=False,
        epilogue=str(shape.store.epilogue), pitch=(shape.source.pitch, shape.store.layout.pitch),
        combine=shape.combine, in_place=shape.in_place,
    )  # fmt: skip

    def space() -> tuple[WindowConfig, ...]:
        if shape.in_place:
            return (default,)
        return tuple(dict.fromkeys((default, *window_space(shape, target))))

    return Choice(key, default, space, lambda config: None)


def _scale(layer: PoolLayer, layout: PlaneLayout) -> NDArray[np.float32]:
    """One over the number of averaged pixels, for every float of a plane: ``(h * pitch,)``."""
    spec, (top, left, bottom, right) = layer.spec, layer.counted
    rows = _counts(spec.oh, spec.kh, spec.stride[0], spec.padding[0], -top, spec.ih + bottom)
    cols = _counts(spec.ow, spec.kw, spec.stride[1], spec.padding[1], -left, spec.iw + right)
    counts = np.outer(rows, cols) if layer.divisor is None else np.full((spec.oh, spec.ow), layer.divisor)
    scale = np.zeros((layout.h, layout.pitch), np.float32)
    scale[:, : layout.w] = 1.0 / np.maximum(counts, 1)
    return scale.reshape(-1)


def _counts(out: int, kernel: int, stride: int, padding: int, low: int, high: int) -> NDArray[np.int64]:
    """Pixels of each window that lie in ``low..high``."""
    first = np.arange(out) * stride - padding
    inside: NDArray[np.int64] = np.minimum(first + kernel, high) - np.maximum(first, low)
    return inside
