"""Resizing by sums of several pixels: bicubic, and all that is smoothed against aliases.

What PyTorch makes of an axis is a matrix, which is found by resizing images of single pixels. Rows come first, then
columns: of each output pixel only the taps that are not zero are summed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax, te
from sparsecc.importer.arguments import arguments, result_shape, schema_of
from sparsecc.importer.context import Context, image_shape
from sparsecc.kernels.extremes import f32

Expr = Any


def resize(ctx: Context, node: fx.Node) -> Any:
    """Bicubic resizing, and resizing with ``antialias``: sums of the pixels that PyTorch takes, by its weights."""
    data = ctx.value(node.args[0])
    _, _, h, w = image_shape(node, data)
    oh, ow = result_shape(node)[2:]
    for axis, extent, out in ((2, h, oh), (3, w, ow)):
        matrix = _matrix(node, axis, extent, out)
        if extent != out or (matrix != np.eye(extent, dtype=np.float32)).any():
            data = _along(ctx, node, data, axis, matrix)
    return data


def _matrix(node: fx.Node, axis: int, extent: int, out: int) -> NDArray[np.float32]:
    """``(out, extent)``: what the node's operator makes of each pixel along an axis, where the other one has two."""
    target: Any = node.target
    names = [argument.name for argument in schema_of(node).arguments]
    given = dict(zip(names, arguments(node, len(names), [None] * len(names)), strict=True))
    pixels = torch.eye(extent)[:, None]
    # twice: PyTorch confuses the order in memory of images with one row or column
    x = torch.stack([pixels, pixels], 3 if axis == 2 else 2)
    size = [out, 2] if axis == 2 else [2, out]
    given["input" if "input" in given else "self"], given["output_size"] = x, size
    factors = given.get("scale_factors")
    if factors is not None:
        given["output_size"], given["scale_factors"] = None, [factors[0], 1.0] if axis == 2 else [1.0, factors[1]]
    elif "scales_h" in given:
        given["scales_w" if axis == 2 else "scales_h"] = None
    found = target(**given).select(3 if axis == 2 else 2, 0)
    return np.ascontiguousarray(found.reshape(extent, out).T.numpy(), np.float32)


def _along(ctx: Context, node: fx.Node, data: Any, axis: int, matrix: NDArray[np.float32]) -> Any:
    """Sums along an axis: as many taps as the row of most has."""
    used = matrix != 0
    taps = max(1, int(used.sum(1).max()))
    places = np.argsort(~used, axis=1, kind="stable")[:, :taps].astype(np.int32)
    weights = np.take_along_axis(matrix, places.astype(np.int64), 1)
    shape = [len(matrix) if i == axis else int(extent) for i, extent in enumerate(data.ty.shape)]

    def of(x: Any, places: Any, weights: Any) -> Any:
        def element(*i: Expr) -> Expr:
            total = f32(0)
            for tap in range(taps):
                total = total + x(*i[:axis], places(i[axis], tap), *i[axis + 1 :]) * weights(i[axis], tap)
            return total

        return te.compute(shape, element, name="resized")

    return ctx.compute(node, of, data, relax.const(places), relax.const(weights))


RESIZING: dict[str, Callable[[Context, fx.Node], Any]] = dict.fromkeys(
    (
        "upsample_bicubic2d.vec", "upsample_bicubic2d.default", "_upsample_bicubic2d_aa.vec",
        "_upsample_bicubic2d_aa.default", "_upsample_bilinear2d_aa.vec", "_upsample_bilinear2d_aa.default",
    ),
    resize,
)  # fmt: skip
