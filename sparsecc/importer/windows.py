"""Windows of poolings, and zeros around what convolutions read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx

from sparsecc.importer.arguments import operator_name, pad_arguments, pair
from sparsecc.ir.conv import ConvSpec


def pool_window(
    shape: Sequence[int], kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[ConvSpec, tuple[int, int]]:
    """A pooling window as a depthwise spec. A last window may hang over, but starts inside the padded image."""
    n, c, h, w = shape
    kernel, dilation, (ph, pw) = pair(kernel), pair(dilation), pair(padding)
    stride = pair(stride) if stride else kernel
    below = _overhang(h, kernel[0], stride[0], ph, dilation[0], ceil_mode)
    right = _overhang(w, kernel[1], stride[1], pw, dilation[1], ceil_mode)
    spec = ConvSpec(
        n=n, ic=c, ih=h, iw=w, oc=c, kh=kernel[0], kw=kernel[1],
        stride=stride, dilation=dilation, groups=c, padding=(ph, pw, below, right),
    )  # fmt: skip
    return spec, (ph, pw)


def _overhang(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Padding after the last pixel that the windows really touch."""
    reach = dilation * (kernel - 1) + 1
    free = size + 2 * padding - reach
    count = (-(-free // stride) if ceil_mode else free // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return max(0, (count - 1) * stride + reach - size - padding)


def absorbed_padding(x: fx.Node) -> tuple[tuple[int, int, int, int], fx.Node]:
    """Zeros that a ``pad`` before a convolution adds around the image; they become part of its padding."""
    if operator_name(x) not in ("pad", "constant_pad_nd"):
        return (0, 0, 0, 0), x
    source, amounts, mode, value = pad_arguments(x)
    if mode != "constant" or value not in (None, 0, 0.0) or len(amounts) > 4 or min(amounts, default=-1) < 0:
        return (0, 0, 0, 0), x
    left, right, top, bottom = [*amounts, 0, 0][:4]
    return (top, left, bottom, right), source
