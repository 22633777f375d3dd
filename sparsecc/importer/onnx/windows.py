"""ONNX convolutions and poolings: paddings, which may differ at both ends, and windows that need not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer.onnx.node import Node

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@dataclass(frozen=True)
class Window:
    """What a convolution or pooling does along each axis of an image; ``begin`` and ``end`` are its paddings."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    begin: list[int]
    end: list[int]

    @property
    def is_even(self) -> bool:
        """Whether both ends have the same padding, none of it negative."""
        return self.begin == self.end and min(self.begin, default=0) >= 0

    @property
    def ends(self) -> list[int]:
        """Paddings as :func:`torch.nn.functional.pad` wants them: last axis first."""
        return [n for pair in reversed(list(zip(self.begin, self.end, strict=True))) for n in pair]

    @property
    def extents(self) -> list[int]:
        """Pixels from a window's first to its last."""
        return [d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]


def window_of(node: Node, x: Tensor, kernel: Sequence[int] | None = None) -> Window:
    """The window of a node, with the paddings that ``auto_pad`` means.

    Raises
    ------
    NotSupportedError
        The images have not one to three axes.
    """
    rank = x.ndim - 2
    if rank not in _CONV:
        raise node.refuse(f"a tensor with {x.ndim} axes", "batch, channels and one to three axes")
    kernel = list(node.get("kernel_shape", list(kernel or ())))
    stride, dilation = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    pads = node.get("pads", [0] * 2 * rank)
    window = Window(kernel, stride, dilation, pads[:rank], pads[rank:])
    if {len(part) for part in (kernel, stride, dilation, window.begin, window.end)} != {rank}:
        raise ValueError(f"kernel_shape, strides, dilations or pads are not for {rank} axes")
    same = node.get("auto_pad", b"NOTSET").decode()
    if same == "VALID":
        return Window(kernel, stride, dilation, [0] * rank, [0] * rank)
    if not same.startswith("SAME"):
        return window
    begin, end = [], []
    for size, extent, step in zip(x.shape[2:], window.extents, stride, strict=True):
        total = max((-(-size // step) - 1) * step + extent - size, 0)
        begin.append(total // 2 if same == "SAME_UPPER" else total - total // 2)
        end.append(total - begin[-1])
    return Window(kernel, stride, dilation, begin, end)


def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution; paddings that differ at the ends are an operator of their own."""
    window = window_of(node, x, weight.shape[2:])
    if list(weight.shape[2:]) != window.kernel:
        raise ValueError(f"kernel_shape {window.kernel} with weights of shape {tuple(weight.shape)}")
    padding = window.begin
    if not window.is_even:
        x, padding = F.pad(x, window.ends), [0] * len(padding)
    return _CONV[x.ndim - 2](x, weight, bias, window.stride, padding, window.dilation, node.get("group", 1))


def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Transposed convolution: ``output_shape`` and ``auto_pad`` say how much is cut off at the ends."""
    window = _cut_of(node, x, weight)
    extra = node.get("output_padding", [0] * len(window.kernel))
    options = (node.get("group", 1), window.dilation)
    function = _TRANSPOSED[x.ndim - 2]
    fits = all(more < max(s, d) for more, s, d in zip(extra, window.stride, window.dilation, strict=True))
    if window.is_even and fits:
        return function(x, weight, bias, window.stride, window.begin, extra, *options)
    y = function(x, weight, None, window.stride, [0] * len(extra), [0] * len(extra), *options)
    ends = [
        n for b, e, more in reversed(list(zip(window.begin, window.end, extra, strict=True))) for n in (-b, more - e)
    ]
    y = F.pad(y, ends)
    return y if bias is None else y + bias.reshape(-1, *[1] * len(extra))


def _cut_of(node: Node, x: Tensor, weight: Tensor) -> Window:
    rank = x.ndim - 2
    same = node.get("auto_pad", b"NOTSET").decode()
    plain = Node(**{**vars(node), "attributes": {k: v for k, v in node.attributes.items() if k != "auto_pad"}})
    window = window_of(plain, x, weight.shape[2:])
    wanted = node.get("output_shape", list[int]())
    if not wanted and not same.startswith("SAME"):
        return window
    extra = node.get("output_padding", [0] * rank)
    begin, end = [], []
    for i, size in enumerate(x.shape[2:]):
        step = window.stride[i]
        out = wanted[-rank:][i] if wanted else size * step
        total = step * (size - 1) + extra[i] + window.extents[i] - out
        begin.append(total // 2 if same == "SAME_UPPER" else total - total // 2)
        end.append(total - begin[-1])
    return Window(window.kernel, window.stride, window.dilation, begin, end)


def max_pool(node: Node, x: Tensor) -> Tensor | tuple[Tensor, ...]:
    """Maximum pooling; its places are refused where they are used."""
    if node.wants(1):
        raise node.refuse("the output of indices", "the maxima alone")
    window = window_of(node, x)
    padding = window.begin
    if not window.is_even or any(2 * p > k for p, k in zip(padding, window.kernel, strict=True)):
        x, padding = F.pad(x, window.ends, value=float("-inf")), [0] * len(padding)
    ceil = bool(node.get("ceil_mode", 0)) and "auto_pad" not in node.attributes
    return _MAX[x.ndim - 2](x, window.kernel, window.stride, padding, window.dilation, ceil)


def average_pool(node: Node, x: Tensor) -> Tensor:
    """Average pooling; where paddings differ, the number of pixels that count is a table."""
    window, counts = window_of(node, x), bool(node.get("count_include_pad", 0))
    if any(d != 1 for d in window.dilation):
        raise node.refuse(f"dilations {window.dilation}", "none")
    ceil = bool(node.get("ceil_mode", 0))
    function = _AVERAGE[x.ndim - 2]
    if window.is_even and all(2 * p <= k for p, k in zip(window.begin, window.kernel, strict=True)):
        return function(x, window.kernel, window.stride, window.begin, ceil, counts)
    padded, none = F.pad(x, window.ends), [0] * len(window.begin)
    y = function(padded, window.kernel, window.stride, none, ceil, False)
    if counts:
        return y
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    return y / function(F.pad(ones, window.ends), window.kernel, window.stride, none, ceil, False)


def lp_pool(node: Node, x: Tensor) -> Tensor:
    """The norm of each window: PyTorch's own of order 2, else a mean of powers."""
    window, order = window_of(node, x), node.get("p", 2)
    if any(d != 1 for d in window.dilation):
        raise node.refuse(f"dilations {window.dilation}", "none")
    x = F.pad(x, window.ends) if any(window.ends) else x
    ceil = bool(node.get("ceil_mode", 0))
    if order == 2 and x.ndim == 4:
        return F.lp_pool2d(x, 2.0, tuple(window.kernel), window.stride, ceil)
    powers = torch.pow(torch.abs(x), order)
    total = _AVERAGE[x.ndim - 2](powers, window.kernel, window.stride, 0, ceil) * float(
        torch.Size(window.kernel).numel()
    )
    return torch.pow(total, 1.0 / order)


def _over_image(function: Callable[[Tensor, list[int]], Tensor]) -> Callable[..., Tensor]:
    return lambda node, x: function(x, list(range(2, x.ndim)))


def _global_lp(node: Node, x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, node.get("p", 2), list(range(2, x.ndim)), keepdim=True)


WINDOWS: dict[str, Callable[..., object]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": _over_image(lambda x, axes: torch.mean(x, axes, True)),
    "GlobalMaxPool": _over_image(lambda x, axes: torch.amax(x, axes, True)),
    "GlobalLpPool": _global_lp,
}
