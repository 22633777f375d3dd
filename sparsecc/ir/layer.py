"""The layers that have kernels of their own: what the importer hands to the rest of the compiler."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.operator import Channels, Combine, Operator, Order
from sparsecc.ir.tensor_type import HALF, TensorType, all_of


@dataclass(frozen=True)
class Removed:
    """What was taken out of a layer before anything was decided about it.

    Attributes
    ----------
    spec : ConvSpec
        The layer as it was.
    constant : int
        Filters whose result is the same for every input.
    unread : int
        Other filters, whose result nobody reads.
    """

    spec: ConvSpec
    constant: int
    unread: int


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
    scales : numpy.ndarray or None
        float32 ``(oc,)``, where the weights of each output channel are whole multiples of one number, as those of
        quantized models are.
    removed : Removed or None
        Channels that it had, and nobody needs.
    dtype : str
        Of what it reads and writes, and of its weights when they are packed.
    """

    key: str
    name: str
    spec: ConvSpec
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    scales: NDArray[np.float32] | None = None
    removed: Removed | None = None
    dtype: str = "float32"

    def halved(self) -> ConvLayer:
        """Return the same in half precision; its weights are those that it will compute with."""
        weight = self.weight.astype(np.float16).astype(np.float32)
        return replace(self, weight=weight, dtype=HALF)

    def reordered(self, reads: Order, writes: Order) -> ConvLayer:
        """Return the same with input and output channels in other orders."""
        weight, bias, scales = self.weight, self.bias, self.scales
        if writes is not None:
            weight, bias = weight[writes], bias[writes]
            scales = None if scales is None else scales[writes]
        if reads is not None and self.spec.sums_all:
            weight = np.take(weight, reads, axis=1)
        return replace(self, weight=weight, bias=bias, scales=scales)


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
    dtype : str
        Of what it reads and writes.
    """

    key: str
    name: str
    spec: ConvSpec
    combine: Combine
    counted: tuple[int, int, int, int] = (0, 0, 0, 0)
    divisor: int | None = None
    dtype: str = "float32"

    kernel: ClassVar = "pool"
    is_window: ClassVar = True
    ends_chain: ClassVar = True
    channels: ClassVar[Channels] = "keeps"
    epilogue: ClassVar[Epilogue] = Epilogue()

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return f"{self.combine} {self.spec.kh}x{self.spec.kw}"

    @property
    def planes(self) -> ConvSpec:
        """See :class:`Operator`."""
        return self.spec

    @property
    def types(self) -> tuple[TensorType, ...]:
        """See :class:`Operator`."""
        return all_of(self.dtype, 2)

    def halved(self) -> PoolLayer:
        """See :class:`Operator`."""
        return replace(self, dtype=HALF)

    @property
    def fill(self) -> float:
        """Less than every pixel for a maximum."""
        return -math.inf if self.combine == "max" else 0.0

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.spec.n, self.spec.ic, self.spec.oc

    def constants(self, layout: PlaneLayout) -> dict[str, NDArray[np.float32]]:
        """Factors of an average."""
        return {"scale": _scale(self, layout)} if self.combine == "sum" else {}


@dataclass(frozen=True)
class MeanLayer(Operator):
    """Mean over all pixels of an image: global average pooling."""

    key: str
    name: str
    n: int
    c: int
    h: int
    w: int
    dtype: str = "float32"

    kernel: ClassVar = "mean"
    reads_rows: ClassVar = True
    channels: ClassVar[Channels] = "keeps"

    @property
    def types(self) -> tuple[TensorType, ...]:
        """See :class:`Operator`."""
        return all_of(self.dtype, 2)

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.n, self.c, self.c

    def halved(self) -> MeanLayer:
        """See :class:`Operator`."""
        return replace(self, dtype=HALF)


#: what the importer makes: a convolution, which later stages fuse, or an operator as it is
Layer = ConvLayer | Operator


def convolutions(layers: Iterable[Layer]) -> Iterator[ConvLayer]:
    """Those of a network's layers that have weights."""
    return (layer for layer in layers if isinstance(layer, ConvLayer))


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
