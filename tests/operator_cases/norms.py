"""Norms by statistics of the input: as one operator, as several, and beside other layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, OperatorCase, function, module

aten = torch.ops.aten


def lively(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """The module with weights that are not all the same."""

    def made() -> nn.Module:
        found = make()
        for parameter in found.parameters():
            parameter.data.normal_()
        return found

    return made


def norm(name: str, make: Callable[[], nn.Module], *shapes: tuple[int, ...]) -> OperatorCase:
    """A module with such weights."""
    return module(name, lively(make), *shapes)


class ChannelNorm(nn.Module):
    """A norm over the channels of images as networks write it; ``form`` says how."""

    def __init__(self, channels: int, form: str) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same."""
        if self.form == "permuted":
            y = F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), self.weight, self.bias, 1e-6)
            return y.permute(0, 3, 1, 2)
        mean = x.mean(1, keepdim=True)
        if self.form == "var":
            y = (x - mean) * torch.rsqrt(x.var(1, keepdim=True, unbiased=False) + 1e-6)
        elif self.form == "once":
            d = x - mean
            y = d / torch.sqrt((d * d).mean(1, keepdim=True) + 1e-6)
        else:
            y = (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * y + self.bias[:, None, None]


class ResponseNorm(nn.Module):
    """ConvNeXt V2's norm of each channel's energy by their mean."""

    def __init__(self, channels: int, *, channels_last: bool) -> None:
        super().__init__()
        shape = (1, 1, 1, channels) if channels_last else (1, channels, 1, 1)
        self.weight, self.bias = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))
        self.pixels, self.axis = ((1, 2), -1) if channels_last else ((2, 3), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images to the same."""
        energy = x.norm(p=2, dim=self.pixels, keepdim=True)
        return x + torch.addcmul(self.bias, self.weight, x * (energy / (energy.mean(self.axis, True) + 1e-6)))


def _rms(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


def _instance(x: Tensor) -> Tensor:
    d = x - x.mean((2, 3), keepdim=True)
    return d / (d.square().mean((-1, -2), keepdim=True) + 1e-5).sqrt()


def _from_input(x: Tensor, weight: Tensor, bias: Tensor) -> Any:
    return F.layer_norm(x, (11,), weight, bias), F.group_norm(x, 2, bias=bias[:6])


def _between(*norms: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), *norms, nn.Conv2d(8, 4, 3, padding=1))


NORMS = [
    norm("layer_norm", lambda: nn.LayerNorm(11), IMAGE),
    norm("layer_norm_of_sequences", lambda: nn.LayerNorm(37, eps=1e-3), (2, 13, 37)),
    norm("layer_norm_of_two_axes", lambda: nn.LayerNorm((9, 11)), IMAGE),
    norm("layer_norm_of_images", lambda: nn.LayerNorm((6, 9, 11), bias=False), IMAGE),
    norm("layer_norm_of_rows", lambda: nn.LayerNorm(3), (5, 3)),
    norm("layer_norm_of_one", lambda: nn.LayerNorm(1), (5, 1)),
    module("layer_norm_without_affine", lambda: nn.LayerNorm(11, elementwise_affine=False), IMAGE),
    norm("layer_norm_of_few_and_long", lambda: nn.LayerNorm(30011), (1, 30011)),
    function("layer_norm_with_weights_from_the_input", _from_input, IMAGE, (11,), (11,)),
    *(norm(f"channel_norm_{form}", lambda f=form: ChannelNorm(6, f), IMAGE)
      for form in ("permuted", "var", "once", "twice")),
    norm("channel_norm_of_one_pixel", lambda: ChannelNorm(6, "permuted"), (3, 6, 1, 1)),
    norm("channel_norm_between", lambda: _between(ChannelNorm(8, "permuted"), nn.GELU()), IMAGE),
    norm("group_norm", lambda: nn.GroupNorm(3, 6), IMAGE),
    norm("group_norm_of_one_group", lambda: nn.GroupNorm(1, 6), IMAGE),
    norm("group_norm_of_sequences", lambda: nn.GroupNorm(2, 6), (2, 6, 7)),
    norm("group_norm_of_features", lambda: nn.GroupNorm(2, 6), (3, 6)),
    norm("group_norm_of_volumes", lambda: nn.GroupNorm(2, 6), (2, 6, 3, 4, 5)),
    norm("group_norm_of_large_images", lambda: nn.GroupNorm(1, 24), (1, 24, 33, 31)),
    norm("group_norm_between", lambda: _between(nn.GroupNorm(2, 8), nn.ReLU()), IMAGE),
    norm("group_norm_of_images_between", lambda: _between(nn.GroupNorm(1, 8), nn.SiLU()), (1, 6, 47, 49)),
    norm("instance_norm", lambda: nn.InstanceNorm2d(6, affine=True), IMAGE),
    norm("instance_norm_of_sequences", lambda: nn.InstanceNorm1d(6), (2, 6, 12)),
    norm("instance_norm_with_statistics", lambda: _between(nn.InstanceNorm2d(8, track_running_stats=True)), IMAGE),
    function("instance_norm_written_out", _instance, IMAGE),
    norm("batch_norm_without_statistics", lambda: nn.BatchNorm2d(6, track_running_stats=False), IMAGE),
    norm("batch_norm_of_one_image", lambda: nn.BatchNorm2d(6, track_running_stats=False), (1, 6, 9, 11)),
    norm("rms_norm", lambda: nn.RMSNorm(11), IMAGE),
    norm("rms_norm_of_two_axes", lambda: nn.RMSNorm((9, 11), eps=1e-3), IMAGE),
    function("rms_norm_written_out", _rms, (2, 5, 33)),
    function("norms_as_they_are_inside", lambda x: (aten.native_layer_norm(x, [11], None, None, 1e-5)[0]
             + aten.native_group_norm(x, None, None, 2, 6, 99, 2, 1e-5)[0]), IMAGE),
    norm("response_norm", lambda: ResponseNorm(6, channels_last=False), IMAGE),
    norm("response_norm_channels_last", lambda: ResponseNorm(11, channels_last=True), IMAGE),
    function("variances", lambda x: x.var(1) + x.var((1, 2), correction=0).mean() + x.std(1, correction=3), IMAGE),
    function("variances_of_everything", lambda x: x.var() + x.std((0, 3), unbiased=False, keepdim=True), IMAGE),
    function("variance_beside_mean", lambda x: sum(torch.var_mean(x, 2, keepdim=True)), IMAGE),
]  # fmt: skip
