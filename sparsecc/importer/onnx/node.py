"""One node of an ONNX graph, as the functions that translate it see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import onnx
from numpy.typing import NDArray

from sparsecc.errors import ModelError, NotSupportedError
from sparsecc.text import printable

T = TypeVar("T")
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Node:
    """An operator with what is known of it before the network runs.

    Attributes
    ----------
    name : str
        Its own, or its first output's where it has none.
    op : str
        ``op_type``.
    opset : int
        Version of the operators that the model was written with.
    inputs, outputs : tuple of str
        Names of values; empty for those that are left out.
    attributes : mapping
    known : tuple of numpy.ndarray or None
        Values of those inputs that are constants; no tensors, for PyTorch would trace what is done with them.
    proto : onnx.NodeProto
    """

    name: str
    op: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: onnx.NodeProto
    known: tuple[Array | None, ...] = field(default=())

    @property
    def where(self) -> str:
        """How a message begins."""
        return f"layer {printable(self.name)}: operator {self.op}"

    def get(self, name: str, default: T) -> T:
        """An attribute."""
        value = self.attributes.get(name, default)
        if default is not None and not isinstance(value, type(default)):
            raise ModelError(
                f"{self.where}: attribute {name} is {type(value).__name__}, expected {type(default).__name__}; "
                "check the file with onnx.checker.check_model"
            )
        return value  # type: ignore[no-any-return]  # attributes are of any type

    def has(self, index: int) -> bool:
        """Whether an input is there."""
        return index < len(self.inputs) and self.inputs[index] != ""

    def wants(self, index: int) -> bool:
        """Whether an output is there."""
        return index < len(self.outputs) and self.outputs[index] != ""

    def constant(self, index: int, what: str) -> Array:
        """An input that must be known.

        Raises
        ------
        NotSupportedError
            It depends on the network's inputs.
        """
        value = self.known[index] if index < len(self.known) else None
        if value is None:
            raise NotSupportedError(f"{self.where}: {what} depends on the network's inputs, expected a constant")
        return value

    def ints(self, index: int, what: str) -> list[int]:
        """A constant input as whole numbers."""
        return [int(v) for v in self.constant(index, what).reshape(-1).tolist()]

    def listed(self, name: str, index: int, what: str = "") -> list[int] | None:
        """Whole numbers that are an attribute in older versions and an input in newer ones; None without them."""
        if name in self.attributes:
            return [int(value) for value in self.get(name, list[int]())]
        return self.ints(index, what or name) if self.has(index) else None

    def refuse(self, found: str, expected: str) -> NotSupportedError:
        """An error for a variant that is not translated."""
        return NotSupportedError(f"{self.where}: {found} is not supported, expected {expected}")


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < max(rank, 1):
        raise IndexError(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank if rank else 0


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    """Axes counted from the front."""
    return [axis_of(axis, rank) for axis in axes]
