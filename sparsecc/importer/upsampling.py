"""Upsampling: which input pixels PyTorch makes an output pixel of, as tables for each axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.importer.arguments import arguments, operator_name
from sparsecc.importer.context import Context, image_shape

#: attribute of a kernel that does the same with every plane, whose equal pixels it leaves equal: the function's name
PLANES = "sparsecc.planes"


def upsample_nearest(ctx: Context, node: fx.Node) -> Any:
    """``upsample_nearest2d``: every output pixel copies the input pixel at or before its place."""
    x = ctx.value(node.args[0])
    _, _, h, w = image_shape(node, x)
    oh, ow = (int(extent) for extent in node.meta["val"].shape[2:])
    _, factors = _options(node)
    ys, xs = (
        relax.const(_nearest_table(size, out, _step(size, out, factor)))
        for size, out, factor in zip((h, w), (oh, ow), factors, strict=True)
    )

    return ctx.compute(node, nearest, x, ys, xs, attrs={PLANES: "nearest"})


def upsample_bilinear(ctx: Context, node: fx.Node) -> Any:
    """``upsample_bilinear2d`` with or without aligned corners."""
    x = ctx.value(node.args[0])
    _, _, h, w = image_shape(node, x)
    oh, ow = (int(extent) for extent in node.meta["val"].shape[2:])
    aligned, factors = _options(node)
    tables = [
        relax.const(table)
        for size, out, factor in zip((h, w), (oh, ow), factors, strict=True)
        for table in _bilinear_table(size, out, _step(size, out, factor), aligned=aligned)
    ]

    return ctx.compute(node, bilinear, x, *tables, attrs={PLANES: "bilinear"})


def nearest(x: Any, ys: Any, xs: Any) -> Any:
    """Images whose pixel ``(i, j)`` is that at ``(ys[i], xs[j])``."""
    shape = (*x.shape[:2], ys.shape[0], xs.shape[0])
    return te.compute(shape, lambda b, k, i, j: x(b, k, ys(i), xs(j)), name="nearest")


def bilinear(x: Any, y0: Any, y1: Any, fy: Any, x0: Any, x1: Any, fx_: Any) -> Any:
    """Images whose pixel ``(i, j)`` lies between two rows and two columns, so far from the first ones."""

    def pixel(b: Any, k: Any, i: Any, j: Any) -> Any:
        one = tirx.const(1.0, "float32")
        top = x(b, k, y0(i), x0(j)) * (one - fx_(j)) + x(b, k, y0(i), x1(j)) * fx_(j)
        low = x(b, k, y1(i), x0(j)) * (one - fx_(j)) + x(b, k, y1(i), x1(j)) * fx_(j)
        return top * (one - fy(i)) + low * fy(i)

    return te.compute((*x.shape[:2], y0.shape[0], x0.shape[0]), pixel, name="bilinear")


#: what :data:`PLANES` may name
PLANE_FUNCTIONS: dict[str, Callable[..., Any]] = {"nearest": nearest, "bilinear": bilinear}


def _options(node: fx.Node) -> tuple[bool, tuple[float | None, float | None]]:
    """Whether corners are aligned, and the factors of height and width where the caller gave them.

    ``vec`` has ``(x, size or None, factors or None)``, ``default`` ``(x, size, factor or None, factor or None)``; the
    bilinear ones have ``aligned`` after the size. ``recompute_scale_factor`` leaves the size alone.
    """
    bilinear = operator_name(node) == "upsample_bilinear2d"
    if str(node.target).endswith(".vec"):
        *front, factors = arguments(node, 3 + bilinear, [None, None, False, None] if bilinear else [None] * 3)
        height, width = (None, None) if factors is None else (factors[0], factors[1])
    else:
        *front, height, width = arguments(node, 4 + bilinear, [None] * 5)
    return bilinear and bool(front[2]), (height, width)


def _step(size: int, out: int, factor: float | None) -> np.float32:
    """Input pixels for each output pixel: by the factor, if there is one, else by the sizes, which are whole."""
    return np.float32(size / out if factor is None else 1.0 / factor)


def _nearest_table(size: int, out: int, step: np.float32) -> NDArray[np.int32]:
    """For every output pixel the input pixel that it copies; sizes that stay or double do so by any factor."""
    places: NDArray[np.int32] = np.arange(out, dtype=np.int32)
    if out == size:
        return places
    if out == 2 * size:
        return places // np.int32(2)
    before: NDArray[np.float32] = np.floor(places.astype(np.float32) * step)
    return np.minimum(before, size - 1).astype(np.int32)


def _bilinear_table(
    size: int, out: int, step: np.float32, *, aligned: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """For every output pixel the two input pixels that it lies between, and its distance from the first.

    A size that stays is copied by any factor: both are the pixel itself.
    """
    places: NDArray[np.float32] = np.arange(out, dtype=np.float32)
    if out == size:
        return places.astype(np.int32), places.astype(np.int32), np.zeros(out, np.float32)
    if aligned:
        places = places * np.float32((size - 1) / (out - 1) if out > 1 else 0.0)
    else:
        places = np.maximum((places + np.float32(0.5)) * step - np.float32(0.5), np.float32(0))
    first = np.minimum(places.astype(np.int32), size - 1).astype(np.int32)
    second = np.minimum(first + 1, size - 1).astype(np.int32)
    return first, second, np.clip(places - first, 0, 1).astype(np.float32)
