"""Convolutions, plain and transposed, and linear layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, function, module

CONVOLUTIONS = [
    module("conv", lambda: nn.Conv2d(6, 8, 3), IMAGE),
    module("conv_no_bias", lambda: nn.Conv2d(6, 8, 3, padding=1, bias=False), IMAGE),
    module("conv_same", lambda: nn.Conv2d(6, 8, (2, 5), padding="same", dilation=(3, 1)), IMAGE),
    module("conv_valid", lambda: nn.Conv2d(6, 8, 3, padding="valid"), IMAGE),
    module("conv_groups", lambda: nn.Conv2d(6, 9, 3, (2, 1), (0, 2), (1, 2), 3), IMAGE),
    module("conv_depthwise", lambda: nn.Conv2d(6, 6, 5, padding=2, groups=6), IMAGE),
    module("conv_depthwise_twice", lambda: nn.Conv2d(6, 12, 3, 2, 1, groups=6), IMAGE),
    module("conv_depthwise_dilated", lambda: nn.Conv2d(6, 6, 3, 1, 2, 2, 6), IMAGE),
    module("conv_one_pixel", lambda: nn.Conv2d(6, 8, 3, padding=1), (2, 6, 1, 1)),
    module("conv_kernel_covers_image", lambda: nn.Conv2d(6, 8, (9, 11)), IMAGE),
    module("conv_kernel_beyond_image", lambda: nn.Conv2d(6, 8, 7, padding=3), (1, 6, 2, 3)),
    module("conv_1x1_stride_2", lambda: nn.Conv2d(6, 8, 1, 2), IMAGE),
    module("conv_1x1_padded", lambda: nn.Conv2d(6, 8, 1, padding=(2, 1)), IMAGE),
    module("conv_stride_over_image", lambda: nn.Conv2d(6, 8, 1, 20), IMAGE),
    module("conv_width_1", lambda: nn.Conv2d(6, 8, 3, padding=1), (1, 6, 9, 1)),
    module("conv_height_1", lambda: nn.Conv2d(6, 8, 3, 2, padding=1), (1, 6, 1, 9)),
    function("conv_functional_mask", lambda x: F.conv2d(x, torch.ones(4, 6, 1, 1) * 0.5), IMAGE),
    module("conv_padding_circular_off", lambda: nn.Conv2d(6, 8, 3, padding=1, padding_mode="zeros"), IMAGE),
    module("pad_then_conv", lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 2, 3)), nn.Conv2d(6, 8, 3, 2)), IMAGE),
    module("pad_then_padded_conv", lambda: nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(6, 8, 3, padding=2)), IMAGE),
    module("crop_then_conv", lambda: nn.Sequential(nn.ZeroPad2d((-1, 1, 0, -2)), nn.Conv2d(6, 8, 3)), IMAGE),
    module("pad_one_then_conv", lambda: nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.Conv2d(6, 8, 3)), IMAGE),
    module("linear", lambda: nn.Linear(11, 7), (3, 11)),
    module("linear_no_bias", lambda: nn.Linear(11, 7, bias=False), (1, 11)),
    module("linear_on_images", lambda: nn.Linear(11, 7), IMAGE),
    module("linear_on_sequences", lambda: nn.Linear(11, 7), (2, 5, 11)),
    module("linear_wide", lambda: nn.Linear(40, 130), (9, 40)),
    module("linear_to_one", lambda: nn.Linear(11, 1), (5, 11)),
    module("linear_vector", lambda: nn.Linear(11, 3), (11,)),
]

_TRANSPOSED: list[tuple[str, tuple[int, int], dict[str, Any]]] = [
    ("plain", (6, 8), {"kernel_size": 3}),
    ("stride_2", (6, 8), {"kernel_size": 2, "stride": 2}),
    ("stride_2_overlap", (6, 8), {"kernel_size": 4, "stride": 2, "padding": 1}),
    ("stride_2_output_padding", (6, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}),
    ("stride_3", (6, 8), {"kernel_size": 5, "stride": 3, "padding": 2, "output_padding": (2, 0)}),
    ("stride_2x1", (6, 8), {"kernel_size": (4, 3), "stride": (2, 1), "padding": (1, 0)}),
    ("stride_over_kernel", (6, 8), {"kernel_size": 2, "stride": 4}),
    ("dilated", (6, 8), {"kernel_size": 3, "dilation": 2, "padding": 1}),
    ("dilated_stride_2", (6, 8), {"kernel_size": 3, "stride": 2, "dilation": (3, 2), "output_padding": 1}),
    ("groups", (6, 9), {"kernel_size": 3, "stride": 2, "groups": 3, "padding": 1}),
    ("depthwise", (6, 6), {"kernel_size": 4, "stride": 2, "groups": 6, "padding": 1}),
    ("no_bias", (6, 8), {"kernel_size": 2, "stride": 2, "bias": False}),
    ("padding_over_kernel", (6, 8), {"kernel_size": 2, "stride": 2, "padding": 2}),
    ("to_one", (6, 1), {"kernel_size": 2, "stride": 2}),
]

TRANSPOSED = [
    *(
        module(f"transposed_{name}", lambda c=channels, k=options: nn.ConvTranspose2d(*c, **k), (2, 6, 5, 4))
        for name, channels, options in _TRANSPOSED
    ),
    module("transposed_one_pixel", lambda: nn.ConvTranspose2d(6, 8, 4), (1, 6, 1, 1)),
    function(
        "transposed_output_size",
        lambda x: F.conv_transpose2d(x, torch.ones(6, 2, 3, 3), stride=2, output_padding=1),
        (1, 6, 5, 4),
    ),
    module("transposed_then_relu", lambda: nn.Sequential(nn.ConvTranspose2d(6, 4, 2, 2), nn.ReLU()), (1, 6, 5, 4)),
]
