"""Norms by statistics of the input itself: layer, group, instance and RMS norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.epilogue import Activation
from sparsecc.ir.operator import Channels, Operator, Order

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class NormLayer(Operator):
    """``(x - mean) / sqrt(variance + eps) * weight + bias``, then an activation.

    The tensor is ``items`` times ``depth`` planes of pixels. Each item has one mean and one variance, or, ``across``
    planes, each pixel of an item has its own. Without ``centred`` the mean is taken for 0.

    Attributes
    ----------
    key, name : str
    shape : tuple of int
        The tensor's: images ``(n, c, h, w)`` where planes have pixels, else any that has ``items * depth`` numbers.
    items, depth : int
    across : bool
        Only for images.
    weight, bias : numpy.ndarray
        float32 ``(groups * depth,)``: item ``i`` has those of group ``i % groups``.
    eps : float
    centred : bool
    activation : Activation or None
    """

    key: str
    name: str
    shape: tuple[int, ...]
    items: int
    depth: int
    across: bool
    weight: Array
    bias: Array
    eps: float
    centred: bool = True
    activation: Activation | None = None

    kernel: ClassVar = "norm"
    clears_gaps: ClassVar = False

    def __str__(self) -> str:
        """See :class:`Operator`."""
        name = "norm" if self.centred else "rms norm"
        among = f"{self.depth} planes" if self.across else f"{math.prod(self.shape) // self.items} numbers"
        return f"{name} of {among}" + (f", {self.activation}" if self.activation else "")

    @property
    def pixels(self) -> tuple[int, int]:
        """Rows and columns of a plane."""
        return (self.shape[2], self.shape[3]) if self.is_image else (1, 1)

    @property
    def is_image(self) -> bool:
        """Whether planes have pixels, which may lie in rows with gaps."""
        return self.items * self.depth != math.prod(self.shape)

    @property
    def groups(self) -> int:
        """Items that have weights of their own."""
        return len(self.weight) // self.depth

    @property
    def reads_rows(self) -> bool:
        """See :class:`Operator`."""
        return self.is_image

    @property
    def writes_rows(self) -> bool:
        """See :class:`Operator`."""
        return self.is_image

    @property
    def channels(self) -> Channels:
        """See :class:`Operator`. Statistics of all channels, or of each by itself, are the same in any order."""
        one_group = self.is_image and (self.groups == 1 or self.depth == 1)
        return "keeps" if one_group else "fixed"

    @property
    def images(self) -> tuple[int, int, int] | None:
        """See :class:`Operator`."""
        return (self.shape[0], self.shape[1], self.shape[1]) if self.is_image else None

    def reordered(self, reads: Order, writes: Order, constants: Mapping[int, tuple[int, Order]]) -> NormLayer:
        """See :class:`Operator`."""
        return self if writes is None else replace(self, weight=self.weight[writes], bias=self.bias[writes])

    def activated(self, activation: Activation) -> NormLayer | None:
        """See :class:`Operator`."""
        return replace(self, activation=activation) if self.activation is None else None

    def scaled(self, factor: NDArray[np.float32]) -> NormLayer | None:
        """See :class:`Operator`."""
        numbers = self._per_channel(factor)
        if numbers is None or self.activation is not None:
            return None
        return replace(self, weight=self.weight * numbers, bias=self.bias * numbers)

    def shifted(self, summand: NDArray[np.float32]) -> NormLayer | None:
        """See :class:`Operator`."""
        numbers = self._per_channel(summand)
        return None if numbers is None or self.activation is not None else replace(self, bias=self.bias + numbers)

    def _per_channel(self, values: Array) -> Array | None:
        """One number for every weight, of a constant that is broadcast over the tensor; None where there are more."""
        rank = len(self.shape)
        if values.ndim > rank:
            return None
        extents = (1,) * (rank - values.ndim) + values.shape
        if values.size == 1:
            return np.full(len(self.weight), values.reshape(-1)[0], np.float32)
        if self.is_image:
            fits = extents == (1, self.shape[1], 1, 1)
        else:
            own = _last_axes(self.shape, len(self.weight))
            fits = own is not None and extents[rank - own :] == self.shape[rank - own :]
            fits = fits and all(extent == 1 for extent in extents[: rank - (own or 0)])
        return values.reshape(-1) if fits and values.size == len(self.weight) else None


def _last_axes(shape: tuple[int, ...], count: int) -> int | None:
    """How many of the last axes have ``count`` numbers; as few as do."""
    return next((n for n in range(1, len(shape) + 1) if math.prod(shape[-n:]) == count), None)
