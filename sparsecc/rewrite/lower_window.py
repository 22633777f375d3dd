"""Depthwise convolutions and poolings: one plane in, one plane out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.epilogue import Epilogue
from sparsecc.facts.graph import FusedConv
from sparsecc.facts.layer import PoolLayer
from sparsecc.facts.layout import PlaneLayout, padded, split, split_height
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.kernels.repack import RepackShape
from sparsecc.kernels.window import LOWEST, WindowConfig, WindowShape, argument_names
from sparsecc.rewrite.lower_conv import image, mask_of, store_shape
from sparsecc.rewrite.lowered import Lowered
from sparsecc.schedule.window import schedule_window
from sparsecc.target import Target

#: vectors of a tile: enough chains to hide a multiply-add's latency, few enough for small planes
_VECTORS = 4


def lower_depthwise(node: PlacedNode, operator: FusedConv, placed: Placed, target: Target) -> Lowered:
    """Lower a depthwise convolution."""
    layer = operator.layer
    store = store_shape(node, placed, operator.epilogue)
    source = image(placed, node.inputs[0])
    scratch = _scratch(layer.spec, source, store.layout, target) if node.packs else None
    shape = WindowShape(layer.spec, source, store, "weighted", scratch)
    return _lower(node, shape, target, {"data": layer.weight.reshape(-1), "bias": layer.bias})


def lower_pool(node: PlacedNode, layer: PoolLayer, placed: Placed, target: Target) -> Lowered:
    """Lower a pooling."""
    store = store_shape(node, placed, Epilogue())
    source = image(placed, node.inputs[0])
    fill = LOWEST if layer.combine == "max" else 0.0
    scratch = _scratch(layer.spec, source, store.layout, target, fill=fill) if node.packs else None
    shape = WindowShape(layer.spec, source, store, layer.combine, scratch)
    scale = _scale(layer, store.layout)[: store.flat] if layer.combine == "sum" else np.zeros(0, np.float32)
    return _lower(node, shape, target, {"scale": scale})


def _scratch(
    spec: ConvSpec, source: PlaneLayout, output: PlaneLayout, target: Target, *, fill: float = 0.0
) -> RepackShape:
    """Scratch memory for one plane, with the pitch of the output."""
    if spec.stride == (1, 1):
        return RepackShape(
            1, source, padded(spec.ih, spec.iw, halo=spec.padding, pitch=output.pitch), spec.ih, fill, target.lanes
        )
    return RepackShape(1, source, split(spec, pitch=output.pitch), split_height(spec), fill, target.lanes)


def _lower(node: PlacedNode, shape: WindowShape, target: Target, constants: dict[str, NDArray[Any]]) -> Lowered:
    flat = shape.store.flat
    lanes = min(target.lanes, flat)
    config = WindowConfig(lanes, max(1, min(_VECTORS, flat // lanes)))
    values: dict[str, int | NDArray[Any]] = {
        **constants,
        "input": node.inputs[0],
        "mask": mask_of(shape.store.layout),
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(shape))
    return Lowered("window", ("window", shape, config), schedule_window(shape, config), arguments, asdict(config))


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
