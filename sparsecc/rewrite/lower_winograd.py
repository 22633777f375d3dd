"""Winograd's transforms: choose how much of a plane is worked on at a time."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.facts.winograd import Tiling, WinogradInput, WinogradOutput
from sparsecc.kernels.winograd_input import WinogradInputShape, winograd_input
from sparsecc.kernels.winograd_output import WinogradOutputShape, winograd_output
from sparsecc.rewrite.lower_conv import image, store_shape
from sparsecc.rewrite.lowered import Lowered
from sparsecc.target import Target

#: share of the first cache for a band's scratch memory; the rest is for what streams by
_L1_SHARE = 0.5


def lower_winograd_input(node: PlacedNode, operator: WinogradInput, placed: Placed, target: Target) -> Lowered:
    """Lower the transform of a layer's input."""
    tiling = operator.tiling
    floats = tiling.m * tiling.cols * (tiling.m + tiling.side)
    shape = WinogradInputShape(
        tiling, image(placed, node.inputs[0]), image(placed, node.output), target.lanes, _band(tiling, floats, target)
    )
    arguments = (node.inputs[0], node.output)
    config = {"tile": tiling.m, "band": shape.band}
    return Lowered("winograd_in", ("winograd_in", shape), winograd_input(shape), arguments, config)


def lower_winograd_output(node: PlacedNode, operator: WinogradOutput, placed: Placed, target: Target) -> Lowered:
    """Lower the transform back to pixels, with the layer's epilogue."""
    tiling = operator.tiling
    store = store_shape(node, placed, operator.epilogue)
    floats = tiling.m * tiling.m * tiling.cols
    shape = WinogradOutputShape(
        tiling, image(placed, node.inputs[0]), store, target.lanes, _band(tiling, floats, target)
    )
    products, *residual = node.inputs
    arguments: tuple[int | NDArray[Any], ...] = (products, operator.layer.bias, *residual, node.output)
    config = {"tile": tiling.m, "band": shape.band}
    return Lowered("winograd_out", ("winograd_out", shape), winograd_output(shape), arguments, config)


def _band(tiling: Tiling, floats: int, target: Target) -> int:
    """Rows of tiles at a time: as many as have their scratch memory, ``floats`` each, in the first cache; evenly."""
    most = max(1, int(_L1_SHARE * target.l1_bytes) // (4 * floats))
    return -(-tiling.rows // -(-tiling.rows // most))
