"""One-dimensional layers: those of images with one row.

A sequence ``(n, c, l)`` is an image ``(n, c, 1, l)`` to its layers. What they make of it stays one as long as it can,
so that activations and sums join the layer before them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from sparsecc.importer.arguments import arguments
from sparsecc.importer.context import Context, shape_of
from sparsecc.importer.convolution import BatchNorm
from sparsecc.importer.layers import (
    Operands,
    WindowArguments,
    adaptive_average,
    adaptive_maximum,
    check_indices_unused,
    image_conv,
    image_conv_transpose,
    maximum,
    row,
    window_average,
)


def conv1d(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``conv1d(x, weight, bias, stride, padding, dilation, groups)``."""
    x, w, b, stride, padding, dilation, groups = arguments(node, 7, [None, None, None, 1, 0, 1, 1])
    window = WindowArguments(stride, padding, dilation)
    return image_conv(ctx, node, norm, Operands(x, w, b), window, groups)


def conv_transpose1d(ctx: Context, node: fx.Node, norm: BatchNorm | None) -> Any:
    """``conv_transpose1d(x, weight, bias, stride, padding, output_padding, groups, dilation)``."""
    x, w, b, stride, padding, out_padding, groups, dilation = arguments(node, 8, [None, None, None, 1, 0, 0, 1, 1])
    window = WindowArguments(stride, padding, dilation, out_padding)
    return image_conv_transpose(ctx, node, norm, Operands(x, w, b), window, groups)


def max_pool1d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``max_pool1d(x, kernel, stride, padding, dilation, ceil_mode)``."""
    x, kernel, stride, padding, dilation, ceil_mode = arguments(node, 6, [None, None, [], 0, 1, False])
    return _pooled(
        ctx, x, lambda image: maximum(
            ctx, node, image, row(kernel), row(stride), row(padding, 0), row(dilation), ceil_mode
        ),
    )  # fmt: skip


def avg_pool1d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``avg_pool1d(x, kernel, stride, padding, ceil_mode, count_include_pad)``."""
    x, kernel, stride, padding, ceil_mode, include_pad = arguments(node, 6, [None, None, [], 0, False, True])
    given = (row(kernel), row(stride), row(padding, 0), ceil_mode, include_pad, None)
    return _pooled(ctx, x, lambda image: window_average(ctx, node, image, given, lambda layer: layer))


def adaptive_avg_pool1d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``adaptive_avg_pool1d(x, size)``."""
    x, size = arguments(node, 2, [None, None])
    return _pooled(ctx, x, lambda image: adaptive_average(ctx, node, image, row(size)))


def adaptive_max_pool1d(ctx: Context, node: fx.Node, _norm: None) -> Any:
    """``adaptive_max_pool1d(x, size)``; using the indices is an error."""
    check_indices_unused(node, "adaptive_max_pool1d")
    x, size = arguments(node, 2, [None, None])
    return (_pooled(ctx, x, lambda image: adaptive_maximum(ctx, node, image, row(size))),)


def _pooled(ctx: Context, x: fx.Node, pool: Callable[[Any], Any]) -> Any:
    """A sequence with or without a batch, as an image with one row; the result is a sequence again."""
    data = ctx.value(x)
    shape = shape_of(data)
    lead = shape[:-1] if len(shape) == 3 else (1, shape[0])
    y = pool(ctx.as_image(data, (*lead, 1, shape[-1])))
    return ctx.from_image(y, (*shape[:-1], shape_of(y)[-1]))
