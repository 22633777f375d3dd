"""Poolings, means and sums."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, function, module

POOLS = [
    module("max_pool", lambda: nn.MaxPool2d(2), IMAGE),
    module("max_pool_padded", lambda: nn.MaxPool2d(3, 2, 1), IMAGE),
    module("max_pool_stride_1", lambda: nn.MaxPool2d(5, 1, 2), IMAGE),
    module("max_pool_stride_1_valid", lambda: nn.MaxPool2d(3, 1), IMAGE),
    module("max_pool_ceil", lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (1, 6, 10, 12)),
    module("max_pool_ceil_padded", lambda: nn.MaxPool2d((3, 2), (3, 2), (1, 0), ceil_mode=True), IMAGE),
    module("max_pool_dilated", lambda: nn.MaxPool2d(3, 2, 1, dilation=2), IMAGE),
    module("max_pool_dilated_ceil", lambda: nn.MaxPool2d(2, 3, 1, dilation=3, ceil_mode=True), IMAGE),
    module("max_pool_stride_over_kernel", lambda: nn.MaxPool2d(2, 4), IMAGE),
    module("max_pool_whole", lambda: nn.MaxPool2d((9, 11)), IMAGE),
    function("max_pool_negative", lambda x: F.max_pool2d(-x.abs() - 1, 3, 2, 1), IMAGE),
    function("max_pool_of_relu", lambda x: F.max_pool2d(F.relu(x), 3, 1, 1), IMAGE),
    module("avg_pool", lambda: nn.AvgPool2d(2), IMAGE),
    module("avg_pool_padded", lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    module("avg_pool_padding_uncounted", lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    module("avg_pool_stride_1_uncounted", lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False), IMAGE),
    module("avg_pool_ceil", lambda: nn.AvgPool2d(3, 2, ceil_mode=True), (1, 6, 10, 12)),
    module("avg_pool_ceil_padded", lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (1, 6, 10, 12)),
    module("avg_pool_ceil_uncounted", lambda: nn.AvgPool2d((4, 3), (3, 2), (2, 1), True, False), (1, 6, 10, 12)),
    module("avg_pool_divisor", lambda: nn.AvgPool2d(3, 2, 1, divisor_override=5), IMAGE),
    module("avg_pool_divisor_ceil", lambda: nn.AvgPool2d(3, 2, 1, True, False, 7), IMAGE),
    module("avg_pool_whole", lambda: nn.AvgPool2d((9, 11)), IMAGE),
    module(
        "avg_pool_padded_between", lambda: nn.Sequential(nn.AvgPool2d(3, 1, 1), nn.Conv2d(6, 4, 3, padding=1)), IMAGE
    ),
    module("adaptive_avg_1", lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    module("adaptive_avg_divides", lambda: nn.AdaptiveAvgPool2d((3, 4)), (2, 6, 9, 12)),
    module("adaptive_avg_uneven", lambda: nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    module("adaptive_avg_keeps_an_axis", lambda: nn.AdaptiveAvgPool2d((None, 1)), IMAGE),
    module("adaptive_avg_enlarges", lambda: nn.AdaptiveAvgPool2d(7), (1, 6, 3, 5)),
    module("adaptive_avg_same", lambda: nn.AdaptiveAvgPool2d((9, 11)), IMAGE),
    module("adaptive_max_1", lambda: nn.AdaptiveMaxPool2d(1), IMAGE),
    module("adaptive_max_divides", lambda: nn.AdaptiveMaxPool2d((3, 4)), (2, 6, 9, 12)),
    module("adaptive_max_uneven", lambda: nn.AdaptiveMaxPool2d((4, 3)), IMAGE),
    module("adaptive_max_enlarges", lambda: nn.AdaptiveMaxPool2d((7, None)), (1, 6, 3, 5)),
    function("mean_of_image", lambda x: x.mean((2, 3)), IMAGE),
    function("mean_of_image_kept", lambda x: x.mean((-1, -2), keepdim=True), IMAGE),
    function("mean_of_channels", lambda x: x.mean(1, keepdim=True), IMAGE),
    function("mean_of_rows", lambda x: x.mean(2), IMAGE),
    function("mean_of_features", lambda x: x.mean(-1), (3, 11)),
    function("mean_of_all_axes", lambda x: x.mean((0, 1, 2, 3)), IMAGE),
    function("mean_of_everything", lambda x: x.mean(), IMAGE),
    function("sum_of_channels", lambda x: x.sum(1), IMAGE),
    function("extremes", lambda x: x.amax(1) + x.amin(-3) + x.max(1)[0] + x.min(1)[0], IMAGE),
    function("extremes_of_everything", lambda x: x.max() - x.min(), IMAGE),
    function("any", lambda x: (x > 2).any(1).float() + (x > 9).any() + (x > 1).any((0, 1)), IMAGE),
    function("all", lambda x: (x > -1).all(1).float() + (x > -9).all() + (x > -1).all((0, 1)), IMAGE),
    function("norms", lambda x: x.norm(dim=1) + x.norm() + x.norm(p=1, dim=(0, 1)), IMAGE),
    function("sum_of_image", lambda x: x.sum((2, 3), keepdim=True), IMAGE),
]
