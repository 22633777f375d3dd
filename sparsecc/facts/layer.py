"""The layers that have kernels of their own: what the importer hands to the rest of the compiler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sparsecc.facts.conv import ConvSpec

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


@dataclass(frozen=True)
class PoolLayer:
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


@dataclass(frozen=True)
class MeanLayer:
    """Mean over all pixels of an image: global average pooling."""

    key: str
    name: str
    n: int
    c: int
    h: int
    w: int


Layer = ConvLayer | PoolLayer | MeanLayer
