"""``pad``: constants, or the tensor's own numbers reflected, repeated, or from the other side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax, te
from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import pad_arguments, result_shape
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.names import layer_name
from sparsecc.ir.pad import PadLayer

Ints = NDArray[np.int32]


def pad(ctx: Context, node: fx.Node) -> Any:
    """``pad`` with a constant, ``reflect``, ``replicate`` or ``circular``; a negative amount crops, as in PyTorch."""
    x, amounts, mode, value = pad_arguments(node)
    data = ctx.value(x)
    if mode == "constant":
        return _constant(ctx, data, amounts, float(value or 0))
    return _own(ctx, node, data, _tables(node, shape_of(data), amounts, mode))


def _constant(ctx: Context, data: Any, amounts: Sequence[int], value: float) -> Any:
    shape = shape_of(data)
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)][::-1]
    pairs = [(0, 0)] * (len(shape) - len(pairs)) + pairs
    for axis, (before, after) in enumerate(pairs):
        if before < 0 or after < 0:
            data = ctx.emit(relax.op.strided_slice(data, [axis], [max(0, -before)], [shape[axis] + min(0, after)]))
    width = [max(0, amount) for pair in pairs for amount in pair]
    return ctx.emit(relax.op.nn.pad(data, width, "constant", value)) if any(width) else data


def _tables(node: fx.Node, shape: Sequence[int], amounts: Sequence[int], mode: str) -> list[Ints]:
    """Where each axis that may be padded reads, the first one first: as PyTorch moves numbers about."""
    tables: list[Ints] = []
    for i in range(0, len(amounts), 2):
        left = shape[-1 - i // 2] + min(0, amounts[i]) + min(0, amounts[i + 1])
        if mode == "circular" and max(amounts[i], amounts[i + 1]) > left:
            # PyTorch reads what it has not written yet
            raise NotSupportedError(
                f"layer {layer_name(node)}: circular pad by {amounts[i]} and {amounts[i + 1]} of an axis of "
                f"{shape[-1 - i // 2]}, expected at most as many as are left of it"
            )
        numbers = torch.arange(shape[-1 - i // 2], dtype=torch.float32)[None, None]
        moved = torch.nn.functional.pad(numbers, (amounts[i], amounts[i + 1]), mode)
        tables.insert(0, moved[0, 0].numpy().astype(np.int32))
    return tables


def _own(ctx: Context, node: fx.Node, data: Any, tables: Sequence[Ints]) -> Any:
    """The last two axes as images, one before them plane by plane."""
    shape = shape_of(data)
    if len(tables) == 3:
        data = _moved(ctx, node, data, len(shape) - 3, tables[0])
        tables = tables[1:]
    shape = shape_of(data)
    rows = tables[0] if len(tables) == 2 else np.arange(1, dtype=np.int32)
    h, w = shape[-2:] if len(tables) == 2 else (1, shape[-1])
    lead = shape[: len(shape) - len(tables)]
    image = (lead[0], math.prod(lead[1:]), h, w) if len(lead) > 1 else (1, math.prod(lead), h, w)

    def make(key: str, name: str) -> PadLayer:
        return PadLayer(key, name, image, rows, tables[-1])

    planes = data if shape == image else ctx.as_image(data, image)
    y = ctx.layer(node, make, planes, (*image[:2], len(rows), len(tables[-1])))
    return y if shape_of(y) == result_shape(node) else ctx.from_image(y, result_shape(node))


def _moved(ctx: Context, node: fx.Node, data: Any, axis: int, table: Ints) -> Any:
    """What lies at the places of a table along an axis."""
    shape = list(shape_of(data))
    shape[axis] = len(table)

    def of(x: Any, places: Any) -> Any:
        return te.compute(shape, lambda *i: x(*i[:axis], places(i[axis]), *i[axis + 1 :]), name="moved")

    return ctx.compute(node, of, data, relax.const(table))
