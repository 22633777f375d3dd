"""Pieces shared by the networks: channel scaling, conv + batch norm, squeeze-and-excite, inverted residual, crop."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

Activation = Callable[[], nn.Module]


def scaled(channels: int, width: float, multiple: int = 8) -> int:
    """Return ``channels * width`` rounded to ``multiple``; at width 1 the published number itself."""
    if width == 1.0:
        return channels
    rounded = max(multiple, int(channels * width + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < 0.9 * channels * width else rounded


def relu() -> nn.Module:
    """Return an in-place ReLU, as most published networks use."""
    return nn.ReLU(inplace=True)


def conv_bn(
    ic: int,
    oc: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    *,
    groups: int = 1,
    act: Activation | None = relu,
    eps: float = 1e-5,
) -> nn.Sequential:
    """Return "same"-padded convolution, batch norm and an optional activation."""
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (kh // 2, kw // 2)
    parts = [nn.Conv2d(ic, oc, (kh, kw), stride, padding, groups=groups, bias=False), nn.BatchNorm2d(oc, eps=eps)]
    return nn.Sequential(*parts, *([act()] if act else []))


class SqueezeExcite(nn.Module):
    """Scale every channel by a gate computed from the channel means."""

    def __init__(self, channels: int, squeezed: int, act: Activation = relu, gate: Activation = nn.Sigmoid) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.act = act()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x * gate``, shape unchanged."""
        return x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))


class InvertedResidual(nn.Module):
    """1x1 expand, depthwise, optional squeeze-and-excite, linear 1x1 project; shortcut when the shapes agree."""

    def __init__(
        self,
        ic: int,
        hidden: int,
        oc: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        act: Activation = relu,
        excite: nn.Module | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        parts: list[nn.Module] = [] if hidden == ic else [conv_bn(ic, hidden, 1, act=act, eps=eps)]
        parts.append(conv_bn(hidden, hidden, kernel, stride, groups=hidden, act=act, eps=eps))
        parts += [] if excite is None else [excite]
        parts.append(conv_bn(hidden, oc, 1, act=None, eps=eps))
        self.body = nn.Sequential(*parts)
        self.shortcut = stride == 1 and ic == oc

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, ic, ih, iw) to (n, oc, oh, ow)."""
        return x + self.body(x) if self.shortcut else self.body(x)


def crop_to(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Cut ``x`` at the bottom and right to the height and width of ``like``."""
    height, width = like.shape[-2:]
    return x if x.shape[-2:] == like.shape[-2:] else x[:, :, :height, :width]
