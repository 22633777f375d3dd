"""A graph whose tensors have layouts: what kernels are instantiated from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.operator import Operator
from sparsecc.ir.tensor_type import FLOAT16, FLOAT32, TensorType, Types


@dataclass(frozen=True)
class Repack(Operator):
    """A copy to another layout, with a halo of zeros.

    Attributes
    ----------
    rows : int
        Rows of a target plane that hold pixels or halo.
    """

    rows: int

    kernel: ClassVar = "repack"
    is_copy: ClassVar = True


@dataclass(frozen=True)
class PlacedNode:
    """As :class:`~sparsecc.ir.graph.Node`, with copies between layouts made explicit.

    ``packs`` marks kernels that copy every plane of their input into scratch memory, in the layout they need;
    ``in_place`` those whose output lies where their input was (:mod:`sparsecc.rewrite.in_place`).
    """

    key: str
    operator: Operator
    inputs: tuple[int, ...]
    output: int
    packs: bool = False
    in_place: bool = False


@dataclass(frozen=True)
class Placed:
    """Nodes in order and the layout of every tensor.

    Attributes
    ----------
    shapes : tuple of tuple of int
        Logical shape of every tensor.
    layouts : tuple of PlaneLayout or None
        None for tensors that are no images; they are contiguous.
    nodes : tuple of PlacedNode
    inputs, outputs : tuple of int
        Tensors that the caller owns: always contiguous.
    types : mapping of int to TensorType
        Of tensors that are no float32.
    """

    shapes: tuple[tuple[int, ...], ...]
    layouts: tuple[PlaneLayout | None, ...]
    nodes: tuple[PlacedNode, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    types: Types = field(default_factory=dict)

    def type_of(self, tensor: int) -> TensorType:
        """What a tensor's elements are."""
        return self.types.get(tensor, FLOAT32)

    @property
    def computes_codes(self) -> bool:
        """Whether a kernel computes with 8-bit codes; other tensors of integers are copied and converted only."""
        return any(kind not in (FLOAT32, FLOAT16) for node in self.nodes for kind in node.operator.types)

    @property
    def is_half(self) -> bool:
        """Whether any tensor is of half precision."""
        return FLOAT16 in self.types.values()

    def has_codes(self, node: PlacedNode) -> bool:
        """Whether a node reads or writes anything but float32."""
        return any(tensor in self.types for tensor in (*node.inputs, node.output))

    def nbytes(self, tensor: int) -> int:
        """Bytes of a tensor's buffer."""
        return self.size(tensor) * self.type_of(tensor).nbytes

    def size(self, tensor: int) -> int:
        """Elements of a tensor's buffer."""
        layout, shape = self.layouts[tensor], self.shapes[tensor]
        if layout is not None:
            return layout.size(shape[0] * shape[1])
        elements = 1
        for extent in shape:
            elements *= extent
        return elements
