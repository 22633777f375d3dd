"""Layers with kernels of their own: convolutions sum over channels, or keep them as poolings do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.l2_pool import L2PoolLayer
from sparsecc.ir.layer import ConvLayer, MeanLayer, PoolLayer
from sparsecc.ir.pad import PadLayer
from sparsecc.lower.conv_reference import conv2d
from sparsecc.lower.reference import pooling
from sparsecc.rewrite.fuse import channel_axis
from sparsecc.rewrite.shrink.atoms import Channels
from sparsecc.rewrite.shrink.flow import Flow, Reader
from sparsecc.rewrite.shrink.fold import folded
from sparsecc.rewrite.shrink.known import Known, expanded, flat_values, is_flat, known_of
from sparsecc.rewrite.shrink.steps import Step, shape_of

Array = NDArray[np.float32]


def follow(flow: Flow, step: Step) -> bool:
    """See :data:`sparsecc.rewrite.shrink.rules.RULES`."""
    layer = flow.layers[step.key]
    rule = _RULES.get(type(layer))
    return rule is not None and rule(flow, step, layer)


def _convolution(flow: Flow, step: Step, layer: ConvLayer) -> bool:
    spec, (x,) = layer.spec, step.tensors
    found = flow.channels.get(x)
    is_read = found is not None and found.axis == input_axis(spec, shape_of(x)) and len(found.atoms) == spec.ic
    axis = channel_axis(spec, step.shape)
    if spec.is_depthwise:
        if not is_read or found is None:
            return False
        atoms = np.repeat(found.atoms, spec.oc_per_group)
        flow.put(step.var, Channels(axis, atoms), _depthwise(layer, flow.known.get(x), axis))
        return True
    if not is_read:
        flow.pin(x)
    known = flow.known.get(x) if is_read else None
    weight, bias, constant = folded(layer, known)
    outputs = flow.atoms.new(spec.oc)
    inputs = found.atoms if is_read and found is not None else None
    flow.readers[step.key] = Reader(step.key, spec.groups, inputs, outputs, weight, bias, constant)
    made = _result(replace(layer, weight=weight, bias=bias), constant, known, step, axis)
    flow.put(step.var, Channels(axis, outputs), made)
    return True


def input_axis(spec: ConvSpec, shape: tuple[int, ...]) -> int:
    """Axis of what a layer reads that has its channels: as :func:`~sparsecc.rewrite.fuse.channel_axis`."""
    return 1 if shape == (spec.n, spec.ic, spec.ih, spec.iw) else len(shape) - 1


def _result(layer: ConvLayer, constant: NDArray[np.bool_], known: Known | None, step: Step, axis: int) -> Known | None:
    """Values of filters that the input does not matter to."""
    if not constant.any():
        return None
    spec, rank = layer.spec, len(step.shape)
    values = np.zeros((spec.oc, 1), np.float32)
    values[constant, 0] = layer.bias[constant]
    reads = constant & layer.weight.reshape(spec.oc, -1).any(axis=1)
    if known is not None and reads.any():
        image = expanded(_image(known), (1, spec.ic, spec.ih, spec.iw))
        rows = np.flatnonzero(reads) if spec.groups == 1 else np.arange(spec.oc)
        part = replace(spec, n=1, oc=len(rows))
        made = conv2d(np.ascontiguousarray(image), layer.weight[rows], layer.bias[rows], part).reshape(len(rows), -1)
        wide = np.repeat(values, made.shape[1], axis=1)
        wide[reads] = made[np.isin(rows, np.flatnonzero(reads))]
        values = wide
    inner = (1,) * (rank - axis - 1) if values.shape[1] == 1 else step.shape[axis + 1 :]
    return known_of(constant, values.reshape((1,) * axis + (spec.oc, *inner)), axis)


def _image(known: Known) -> Known:
    """Channels on axis 1, whatever the tensor's axes."""
    values = known.values
    return known if values.ndim == 4 else Known(known.mask, values.reshape(1, len(known.mask), 1, 1))


def _depthwise(layer: ConvLayer, known: Known | None, axis: int) -> Known | None:
    """Values of channels of which the input or the filter is known: the filter if it is zero."""
    spec = layer.spec
    zero: NDArray[np.bool_] = np.logical_not(np.any(layer.weight.reshape(spec.oc, -1), axis=1))
    inputs = np.arange(spec.oc) // spec.oc_per_group
    mask = zero if known is None else zero | known.mask[inputs]
    if not mask.any():
        return None
    values = layer.bias.reshape(-1, 1).copy()
    reads = np.flatnonzero(mask & ~zero)
    if known is not None and len(reads):
        image = expanded(known, (1, spec.ic, spec.ih, spec.iw))[:, inputs[reads]]
        part = replace(spec, n=1, ic=len(reads), oc=len(reads), groups=len(reads))
        made = conv2d(np.ascontiguousarray(image), layer.weight[reads], layer.bias[reads], part).reshape(len(reads), -1)
        values = np.repeat(values, made.shape[1], axis=1)
        values[reads] = made
    inner = (1, 1) if values.shape[1] == 1 else (spec.oh, spec.ow)
    return known_of(mask, values.reshape(1, spec.oc, *inner), axis)


def _pooling(flow: Flow, step: Step, layer: PoolLayer) -> bool:
    def value(known: Known) -> Known | None:
        spec, rows = layer.spec, np.flatnonzero(known.mask)
        if layer.combine == "max" and is_flat(known, 1).all():
            return known
        image = np.ascontiguousarray(expanded(known, (1, spec.ic, spec.ih, spec.iw))[:, rows])
        part = replace(spec, n=1, ic=len(rows), oc=len(rows), groups=len(rows))
        values = np.zeros((1, spec.oc, spec.oh, spec.ow), np.float32)
        values[:, rows] = pooling(replace(layer, spec=part), None, [image])
        return known_of(known.mask, values, 1)

    return _keeps(flow, step, layer.spec.ic, value)


def _l2_pooling(flow: Flow, step: Step, layer: L2PoolLayer) -> bool:
    return _keeps(flow, step, layer.spec.ic, lambda known: None)


def _mean(flow: Flow, step: Step, layer: MeanLayer) -> bool:
    def value(known: Known) -> Known | None:
        image = expanded(known, (1, layer.c, layer.h, layer.w)).astype(np.float64)
        shape = [layer.c if i == 1 else 1 for i in range(len(step.shape))]
        return known_of(known.mask, image.mean(axis=(2, 3)).astype(np.float32).reshape(shape), 1)

    return _keeps(flow, step, layer.c, value)


def _padding(flow: Flow, step: Step, layer: PadLayer) -> bool:
    def value(known: Known) -> Known | None:
        flat = is_flat(known, 1)
        return known_of(known.mask & flat, flat_values(known, 1).reshape(1, -1, 1, 1), 1)

    return _keeps(flow, step, layer.shape[1], value)


def _keeps(flow: Flow, step: Step, channels: int, value: Callable[[Known], Known | None]) -> bool:
    """A layer that keeps every channel in its place, and what it makes of those that are known."""
    (x,) = step.tensors
    found, known = flow.channels.get(x), flow.known.get(x)
    if found is None or found.axis != 1 or len(found.atoms) != channels or len(shape_of(x)) != 4:
        return False
    flow.put(step.var, Channels(1, found.atoms), None if known is None else value(known))
    return True


#: what is not here keeps its channels: norms have statistics of several
_RULES: dict[type, Callable[[Flow, Step, Any], bool]] = {
    ConvLayer: _convolution,
    PoolLayer: _pooling,
    L2PoolLayer: _l2_pooling,
    MeanLayer: _mean,
    PadLayer: _padding,
}
