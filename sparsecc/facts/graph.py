"""A network after fusion: kernels to run in order, over numbered tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from sparsecc.facts.epilogue import Epilogue
from sparsecc.facts.layer import ConvLayer, MeanLayer, PoolLayer
from sparsecc.facts.winograd import WinogradInput, WinogradOutput


@dataclass(frozen=True)
class FusedConv:
    """A convolution or linear layer with what follows it."""

    layer: ConvLayer
    epilogue: Epilogue


@dataclass(frozen=True)
class TirOp:
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


@dataclass(frozen=True)
class View:
    """Another shape of the same contiguous floats: no kernel."""


@dataclass(frozen=True)
class Chain:
    """A convolution and the depthwise convolution or pooling that is its only reader."""

    conv: FusedConv
    window: FusedConv | PoolLayer
    window_key: str


Operator = FusedConv | PoolLayer | MeanLayer | TirOp | View | Chain | WinogradInput | WinogradOutput


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
    """

    shapes: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
