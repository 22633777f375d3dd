"""Takes channels that are known out of what a layer reads: they become part of its bias, borders included."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import ConvLayer
from sparsecc.rewrite.shrink.known import Known, flat_values, is_flat
from sparsecc.rewrite.shrink.merge import merged

Array = NDArray[np.float32]
Bools = NDArray[np.bool_]


class Folded(NamedTuple):
    """Weight ``(oc, ic / groups, kh, kw)`` and bias ``(oc,)``; bool ``(oc,)``: filters without a channel not known."""

    weight: Array
    bias: Array
    constant: Bools


def folded(layer: ConvLayer, known: Known | None) -> Folded:
    """The layer with nothing to read of known channels, as far as that is exact.

    * A channel of zeros is not read.
    * Where no filter sees padding, ``y = sum(w x) + b`` has ``w x`` in its bias for all ``x`` of equal pixels.
    * Other known channels differ at the border only, in a few ways. Some of them stay, and the weights of the others
      become theirs: see :func:`sparsecc.rewrite.shrink.merge.merged`.

    Before, with channels 1 and 2 known to be 3 and 6 everywhere::

        y = conv(x, weight)             # 3x3, padding 1

    After::

        weight[:, 2] += weight[:, 1] * 3 / 6
        weight[:, 1] = 0
    """
    spec, weight, bias = layer.spec, layer.weight, layer.bias
    reads: Bools = np.any(weight.reshape(*weight.shape[:2], -1), axis=2)
    if known is None:
        return Folded(weight, bias, np.logical_not(np.any(reads, axis=1)))
    own = np.arange(spec.oc) // spec.oc_per_group

    def by_filter(channels: NDArray[Any]) -> NDArray[Any]:
        """Of each filter those of its group."""
        return channels.reshape(spec.groups, spec.ic_per_group)[own]

    axis = known.values.shape.index(len(known.mask))
    values = flat_values(known, axis).astype(np.float64)
    flat = known.mask & is_flat(known, axis)
    constant: Bools = np.logical_not(np.any(reads & ~by_filter(known.mask), axis=1))
    gone = flat & ((values == 0) | (not sees_padding(spec)))
    taps = weight.reshape(*weight.shape[:2], -1).sum(axis=2, dtype=np.float64)
    added = (taps * by_filter(np.where(gone, values, 0))).sum(axis=1)
    bias = (bias + added).astype(np.float32)
    weight = np.where(by_filter(gone)[:, :, None, None], np.float32(0), weight)
    rest = known.mask & ~gone
    if spec.groups == 1 and rest.sum() > 1:
        images = known.values.reshape(len(known.mask), -1)[rest]
        weight, bias = merged(weight, bias, np.flatnonzero(rest), images, shifts=not sees_padding(spec))
    return Folded(weight, bias, constant)


def sees_padding(spec: ConvSpec) -> bool:
    """Whether a tap of any output pixel lies beside the image."""
    top, left, _, _ = spec.padding
    bottom = (spec.oh - 1) * spec.stride[0] + (spec.kh - 1) * spec.dilation[0] - top
    right = (spec.ow - 1) * spec.stride[1] + (spec.kw - 1) * spec.dilation[1] - left
    return top > 0 or left > 0 or bottom >= spec.ih or right >= spec.iw
