"""Values of channels that are the same whatever the network's input is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a tensor's channels.

    Attributes
    ----------
    mask : numpy.ndarray
        bool, one for each place along the axis of channels.
    values : numpy.ndarray
        float32, as many axes as the tensor. Axes before that of the channels have one place, those after it one
        where all are equal. Where nothing is known there is a zero.
    """

    mask: Bools
    values: Array


def known_of(mask: Bools, values: Array, axis: int) -> Known | None:
    """What is finite and known; None if that is nothing."""
    moved = np.moveaxis(values, axis, 0).reshape(len(mask), -1)
    mask = mask & np.isfinite(moved).all(axis=1)
    if not mask.any():
        return None
    shape = [len(mask) if i == axis else 1 for i in range(values.ndim)]
    shown = np.where(mask.reshape(shape), values, np.float32(0)).astype(np.float32)
    inner = shown.reshape(len(mask), -1)
    if (inner == inner[:, :1]).all():
        shown = inner[:, 0].reshape(shape)
    return Known(mask, shown)


def is_flat(known: Known, axis: int) -> Bools:
    """Channels whose pixels are all equal."""
    inner = known.values.reshape(known.values.shape[axis], -1)
    flat: Bools = (inner == inner[:, :1]).all(axis=1)
    return flat


def flat_values(known: Known, axis: int) -> Array:
    """The first pixel of every channel."""
    return known.values.reshape(known.values.shape[axis], -1)[:, 0]


def expanded(known: Known, shape: Sequence[int]) -> Array:
    """The values of one image: all axes after that of the channels in full."""
    return np.broadcast_to(known.values, shape)
