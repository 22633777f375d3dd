"""A network after fusion: kernels to run in order, over numbered tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.operator import Channels, Operator, Order, Window
from sparsecc.ir.tensor_type import FLOAT32, TensorType, Types, all_of


@dataclass(frozen=True)
class FusedConv(Operator):
    """A convolution or linear layer with what follows it."""

    layer: ConvLayer
    epilogue: Epilogue

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return f"{self.kernel} {self.spec.kh}x{self.spec.kw}, {self.epilogue}"

    @property
    def spec(self) -> ConvSpec:
        """The layer's."""
        return self.layer.spec

    @property
    def dtype(self) -> str:
        """The layer's."""
        return self.layer.dtype

    @property
    def kernel(self) -> str:
        """By shape alone: which weights are kept makes no other kernel."""
        return "linear" if self.spec.is_linear else "depthwise" if self.spec.is_depthwise else "conv"

    @property
    def combine(self) -> Literal["weighted"]:
        """How its values of a window become one, where it is depthwise."""
        return "weighted"

    @property
    def planes(self) -> ConvSpec | None:
        """See :class:`Operator`."""
        return None if self.spec.is_linear else self.spec

    @property
    def is_window(self) -> bool:
        """See :class:`Operator`."""
        return self.spec.is_depthwise

    @property
    def begins_chain(self) -> bool:
        """See :class:`Operator`."""
        return self.kernel == "conv" and self.epilogue.residual == "none" and self.dtype == FLOAT32.dtype

    @property
    def ends_chain(self) -> bool:
        """See :class:`Operator`."""
        return self.spec.keeps_channels and self.epilogue.residual == "none"

    @property
    def fits_in_place(self) -> bool:
        """See :class:`Operator`."""
        return self.spec.keeps_channels

    @property
    def weights(self) -> tuple[NDArray[Any], ...]:
        """See :class:`Operator`."""
        return (self.layer.weight,)

    @property
    def types(self) -> tuple[TensorType, ...]:
        """See :class:`Operator`."""
        return all_of(self.dtype, 2 + self.epilogue.adds_residual)

    @property
    def channels(self) -> Channels:
        """See :class:`Operator`."""
        return "sums" if self.spec.sums_all else "keeps" if self.spec.keeps_channels else "fixed"

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.spec.n, self.spec.ic, self.spec.oc

    def constants(self, layout: PlaneLayout) -> dict[str, NDArray[np.float32]]:
        """See :class:`Window`."""
        return {"data": self.layer.weight.reshape(-1), "bias": self.layer.bias}

    def reordered(self, reads: Order, writes: Order, constants: Mapping[int, tuple[int, Order]]) -> FusedConv:
        """See :class:`Operator`."""
        return self if reads is None and writes is None else replace(self, layer=self.layer.reordered(reads, writes))


@dataclass(frozen=True)
class TirOp(Operator):
    """Operators that Relax fused into one PrimFunc: elementwise, moving pixels, small reductions.

    Attributes
    ----------
    function : str
        Its name in the module.
    constants : tuple
        One entry a parameter before the output: an array for constants, None for tensors.
    """

    function: str
    constants: tuple[NDArray[Any] | None, ...]

    kernel: ClassVar = "generic"
    reads_rows: ClassVar = True
    writes_rows: ClassVar = True
    clears_gaps: ClassVar = False
    channels: ClassVar[Channels] = "code"

    def reordered(self, reads: Order, writes: Order, constants: Mapping[int, tuple[int, Order]]) -> TirOp:
        """See :class:`Operator`."""
        moved = list(self.constants)
        for place, (axis, order) in constants.items():
            constant = moved[place]
            if order is not None and constant is not None:
                moved[place] = np.take(constant, order, axis=axis)
        return replace(self, constants=tuple(moved))


@dataclass(frozen=True)
class View(Operator):
    """Another shape of the same contiguous elements: no kernel."""

    channels: ClassVar[Channels] = "view"

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return "view"


@dataclass(frozen=True)
class Chain(Operator):
    """A convolution and the depthwise convolution or pooling that is its only reader."""

    conv: FusedConv
    window: Window
    window_key: str

    kernel: ClassVar = "chain"

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return f"{self.conv}, then {self.window} ({self.window_key})"

    @property
    def planes(self) -> ConvSpec:
        """Those of the convolution."""
        return self.conv.spec

    @property
    def follower(self) -> ConvSpec:
        """See :class:`Operator`."""
        return self.window.spec

    @property
    def joined(self) -> tuple[str, ...]:
        """See :class:`Operator`."""
        return (self.window_key,)


@dataclass(frozen=True)
class Node:
    """One kernel call.

    Attributes
    ----------
    key : str
        Of the layer, or of the operator.
    operator : Operator
    inputs : tuple of int
        Tensors read; a fused residual comes last.
    output : int
        The tensor written.
    """

    key: str
    operator: Operator
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True)
class Graph:
    """Nodes in order.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Of every tensor.
    nodes : tuple of Node
    inputs, outputs : tuple of int
        Tensors that the caller owns.
    types : mapping of int to TensorType
        Of tensors that are no float32.
    """

    shapes: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    types: Types = field(default_factory=dict)

    def type_of(self, tensor: int) -> TensorType:
        """What a tensor's elements are."""
        return self.types.get(tensor, FLOAT32)
