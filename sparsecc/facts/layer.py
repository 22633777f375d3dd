"""The layers that have kernels of their own: what the importer hands to the rest of the compiler."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.epilogue import Epilogue
from sparsecc.facts.operator import Channels, Operator, Order

Combine = Literal["sum", "max"]


@dataclass(frozen=True, eq=False)
class ConvLayer:
    """A convolution or linear layer, masks resolved and batch norm folded.

    Attributes
    ----------
    key, name : str
        C identifier, unique in the network; the layer's name in the PyTorch model.
    spec : ConvSpec
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, kh, kw)``.
    bias : numpy.ndarray
        float32 ``(oc,)``; zeros when the layer has none.
    """

    key: str
    name: str
    spec: ConvSpec
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def reordered(self, reads: Order, writes: Order) -> ConvLayer:
        """Return the same with input and output channels in other orders."""
        weight, bias = self.weight, self.bias
        if writes is not None:
            weight, bias = weight[writes], bias[writes]
        if reads is not None and self.spec.sums_all:
            weight = np.take(weight, reads, axis=1)
        return replace(self, weight=weight, bias=bias)


@dataclass(frozen=True)
class PoolLayer(Operator):
    """Average or maximum pooling over windows.

    Attributes
    ----------
    key, name : str
    spec : ConvSpec
        A depthwise window; a ceiling in the output size shows as more padding below and to the right.
    combine : str
        ``sum`` for the average.
    counted : tuple of int
        ``(top, left, bottom, right)`` padding pixels that count in an average's divisor.
    divisor : int or None
        A fixed divisor instead.
    """

    key: str
    name: str
    spec: ConvSpec
    combine: Combine
    counted: tuple[int, int, int, int] = (0, 0, 0, 0)
    divisor: int | None = None

    kernel: ClassVar = "window"
    is_window: ClassVar = True
    channels: ClassVar[Channels] = "keeps"
    epilogue: ClassVar = Epilogue()

    @property
    def planes(self) -> ConvSpec:
        """See :class:`Operator`."""
        return self.spec

    @property
    def fill(self) -> float:
        """Less than every pixel for a maximum."""
        return -math.inf if self.combine == "max" else 0.0

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.spec.n, self.spec.ic, self.spec.oc


@dataclass(frozen=True)
class MeanLayer(Operator):
    """Mean over all pixels of an image: global average pooling."""

    key: str
    name: str
    n: int
    c: int
    h: int
    w: int

    kernel: ClassVar = "mean"
    reads_rows: ClassVar = True
    channels: ClassVar[Channels] = "keeps"

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.n, self.c, self.c


Layer = ConvLayer | PoolLayer | MeanLayer


def convolutions(layers: Iterable[Layer]) -> Iterator[ConvLayer]:
    """Those of a network's layers that have weights."""
    return (layer for layer in layers if isinstance(layer, ConvLayer))
