"""The order in which a tensor's channels are stored, where it is not the network's own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ChannelOrder:
    """Channels of a tensor, reordered.

    Attributes
    ----------
    shape : tuple of int
        Of the tensor.
    axis : int
        Where its channels are.
    order : numpy.ndarray
        int64 ``(shape[axis],)``; in place ``i`` is channel ``order[i]``.
    """

    shape: tuple[int, ...]
    axis: int
    order: NDArray[np.int64] = field(repr=False)

    def undone(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The tensor's values, in any shape, with every channel in its own place."""
        stored = values.reshape(math.prod(self.shape[: self.axis]), self.order.size, -1)
        result = np.empty_like(stored)
        result[:, self.order] = stored
        return result.reshape(values.shape)


@dataclass(frozen=True, eq=False)
class ChannelSelection:
    """Channels of a tensor that are still there.

    Attributes
    ----------
    shape : tuple of int
        Of the tensor with all of them.
    axis : int
        Where its channels are.
    kept : numpy.ndarray
        int64, ascending.
    """

    shape: tuple[int, ...]
    axis: int
    kept: NDArray[np.int64] = field(repr=False)

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """What is left of the tensor's values, given in any shape."""
        return np.take(values.reshape(self.shape), self.kept, axis=self.axis)
