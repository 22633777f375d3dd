"""What is left of a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.l2_pool import L2PoolLayer
from sparsecc.ir.layer import ConvLayer, Layer, MeanLayer, PoolLayer, Removed
from sparsecc.ir.pad import PadLayer
from sparsecc.rewrite.shrink.flow import Reader

Bools = NDArray[np.bool_]


def left_of(layer: Layer, reader: Reader | None, inputs: Bools | None, outputs: Bools | None) -> Layer:
    """A layer without some channels.

    Parameters
    ----------
    layer : Layer
    reader : Reader or None
        What it sums up now, if it sums.
    inputs, outputs : numpy.ndarray or None
        Which of its channels stay; None for all.
    """
    is_whole = all(kept is None or kept.all() for kept in (inputs, outputs))
    if is_whole or outputs is None:
        return layer
    return (
        _KEEPING[type(layer)](layer, outputs)
        if reader is None
        else _summing(cast("ConvLayer", layer), reader, inputs, outputs)
    )


def _summing(layer: ConvLayer, reader: Reader, inputs: Bools | None, outputs: Bools) -> ConvLayer:
    spec = layer.spec
    read = np.ones(spec.ic, np.bool_) if inputs is None or reader.inputs is None else inputs
    rows, columns = (kept.reshape(spec.groups, -1) for kept in (outputs, read))
    # a group has neither inputs nor outputs, or as many of both as the others
    groups = np.flatnonzero(rows.any(axis=1))
    weight = layer.weight if read.all() else reader.weight
    bias = layer.bias if read.all() else reader.bias
    grouped = weight.reshape(spec.groups, spec.oc_per_group, *weight.shape[1:])
    parts = [grouped[g][rows[g]][:, columns[g]] for g in groups]
    own = replace(spec, ic=int(columns[groups].sum()), oc=int(rows.sum()), groups=len(groups))
    gone = ~outputs
    removed = Removed(spec, int((gone & reader.constant).sum()), int((gone & ~reader.constant).sum()))
    made = np.ascontiguousarray(np.concatenate(parts).reshape(own.weight_shape))
    kept = np.ascontiguousarray(bias[outputs])
    return replace(layer, spec=own, weight=made, bias=kept, scales=_scales(layer, weight, outputs), removed=removed)


def _scales(layer: Any, weight: NDArray[np.float32], outputs: Bools) -> NDArray[np.float32] | None:
    """Of what is left, where no weights became sums of others."""
    if layer.scales is None or bool(((weight != 0) & (weight != layer.weight)).any()):
        return None
    return np.ascontiguousarray(layer.scales[outputs])


def _depthwise(layer: ConvLayer, outputs: Bools) -> ConvLayer:
    spec = layer.spec
    channels = int(outputs.sum()) // spec.oc_per_group
    own = replace(spec, ic=channels, oc=int(outputs.sum()), groups=channels)
    zero = ~layer.weight.reshape(spec.oc, -1).any(axis=1)
    removed = Removed(spec, int((~outputs & zero).sum()), int((~outputs & ~zero).sum()))
    weight, bias = (np.ascontiguousarray(array[outputs]) for array in (layer.weight, layer.bias))
    scales = None if layer.scales is None else np.ascontiguousarray(layer.scales[outputs])
    return replace(layer, spec=own, weight=weight, bias=bias, scales=scales, removed=removed)


def _window(spec: ConvSpec, kept: Bools) -> ConvSpec:
    channels = int(kept.sum())
    return replace(spec, ic=channels, oc=channels, groups=channels)


def _padding(layer: PadLayer, kept: Bools) -> PadLayer:
    n, _, h, w = layer.shape
    return replace(layer, shape=(n, int(kept.sum()), h, w))


_KEEPING: dict[type, Callable[[Any, Bools], Layer]] = {
    ConvLayer: _depthwise,
    PoolLayer: lambda layer, kept: replace(layer, spec=_window(layer.spec, kept)),
    L2PoolLayer: lambda layer, kept: replace(
        layer, squares=replace(layer.squares, spec=_window(layer.squares.spec, kept))
    ),
    MeanLayer: lambda layer, kept: replace(layer, c=int(kept.sum())),
    PadLayer: _padding,
}
