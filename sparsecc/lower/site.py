"""A node in its place, and what its neighbours decide: where its tensors lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule
from sparsecc.analyse.layers import LayerPlan
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.operator import Operator
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.kernels.store import StoreShape
from sparsecc.target import Target

OperatorT = TypeVar("OperatorT", bound=Operator)


@dataclass(frozen=True, eq=False)
class Site(Generic[OperatorT]):
    """All that a node's kernel is made from.

    Attributes
    ----------
    node : PlacedNode
        Any but a view, which needs no kernel.
    placed : Placed
        The graph it belongs to.
    module : IRModule
        Holds the PrimFuncs of generic operators.
    plans : mapping of str to LayerPlan
        Key -> decision.
    target : Target
        The processor to make the kernel for.
    """

    node: PlacedNode
    placed: Placed
    module: IRModule
    plans: Mapping[str, LayerPlan]
    target: Target

    @property
    def operator(self) -> OperatorT:
        """The node's; the table of kernels sees to its type."""
        return cast(OperatorT, self.node.operator)

    @property
    def plan(self) -> LayerPlan:
        """What was decided for the node's layer."""
        return self.plans[self.node.key]

    @property
    def source(self) -> PlaneLayout:
        """Layout of the first input."""
        return image(self.placed, self.node.inputs[0])

    @property
    def result(self) -> PlaneLayout:
        """Layout of the output."""
        return image(self.placed, self.node.output)

    def store(self, epilogue: Epilogue) -> StoreShape:
        """Where results go."""
        images, channels = self.placed.shapes[self.node.output][:2]
        residual = self.placed.layouts[self.node.inputs[1]] if len(self.node.inputs) > 1 else None
        layout = self.result
        _, left, _, right = layout.halo
        masked = max(left, right) > 0
        return StoreShape(images, channels, layout, epilogue, residual, masked=masked, dtype=self.dtype)

    @property
    def dtype(self) -> str:
        """Type of the output's elements."""
        return self.placed.type_of(self.node.output).dtype


def image(placed: Placed, tensor: int) -> PlaneLayout:
    """Layout of a tensor that is an image."""
    layout = placed.layouts[tensor]
    assert layout is not None, "a kernel that walks planes or rows has images"
    return layout


def mask_of(store: StoreShape) -> NDArray[Any]:
    """1 at pixels, 0 in the gaps after them: ``(h * pitch,)``, of the type of results."""
    layout = store.layout
    mask = np.zeros((layout.h, layout.pitch), store.dtype)
    mask[:, : layout.w] = 1
    return mask.reshape(-1)
