"""What moves values or repeats them: concatenation, slices, views, padding, upsampling."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, function, module

#: cosines and sines of a rotary embedding; any numbers do
_COSINES, _SINES = torch.randn(2, 2, 3, 1, 4, generator=torch.Generator().manual_seed(0))
_MODES = ("reflect", "replicate", "circular")


def rotated(x: Tensor) -> Tensor:
    """Halves of short rows, turned by angles and put together again."""
    a, b = x.reshape(2, 3, 4, 8).chunk(2, dim=-1)
    turned = torch.cat([_COSINES * a - _SINES * b, _SINES * a + _COSINES * b], -1)
    return turned.reshape(2, 3, 32)


def _padded(mode: str) -> nn.Module:
    """Convolutions that pad with their image, and one that pads with zeros."""
    return nn.Sequential(
        nn.Conv2d(6, 8, 3, padding=2, padding_mode=mode), nn.ReLU(),
        nn.Conv2d(8, 4, (1, 3), 2, (0, 2), padding_mode=mode), nn.Conv2d(4, 4, 3, padding=1),
    )  # fmt: skip


SHAPES = [
    function("cat_rotated", rotated, (2, 3, 32)),
    function("cat_channels", lambda x, y: torch.cat([x, y, x], 1), IMAGE, (2, 3, 9, 11)),
    function("cat_rows", lambda x, y: torch.cat([x, y], 2), IMAGE, (2, 6, 4, 11)),
    function("cat_columns", lambda x, y: torch.cat([x, y], -1), IMAGE, (2, 6, 9, 2)),
    function("cat_batches", lambda x, y: torch.cat([x, y], 0), IMAGE, (1, 6, 9, 11)),
    function("cat_features", lambda x, y: torch.cat([x, y], 1), (3, 11), (3, 4)),
    function("cat_one", lambda x: torch.cat([x], 1), IMAGE),
    function("cat_zeros_like", lambda x: torch.cat([x, torch.zeros_like(x), x.new_ones(2, 1, 9, 11)], 1), IMAGE),
    function("cat_constant", lambda x: torch.cat([x, torch.ones(2, 1, 9, 11)], 1), IMAGE),
    function("stack", lambda x, y: torch.stack([x, y], 1), (3, 11), (3, 11)),
    function("split", lambda x: torch.split(x, 2, 1), IMAGE),
    function("split_uneven", lambda x: torch.split(x, 4, 1), IMAGE),
    function("split_sizes", lambda x: torch.split(x, [1, 3, 2], 1), IMAGE),
    function("split_columns", lambda x: torch.split(x, 4, -1), IMAGE),
    function("chunk", lambda x: x.chunk(2, 1), IMAGE),
    function("chunk_uneven", lambda x: x.chunk(4, 2), IMAGE),
    function("chunk_more_than_there_are", lambda x: x.chunk(9, 1), IMAGE),
    function("chunk_used_apart", lambda x: x.chunk(2, 1)[1].relu(), IMAGE),
    function("unbind", lambda x: torch.unbind(x, 1)[2], IMAGE),
    function("slice", lambda x: x[:, 1:4], IMAGE),
    function("slice_step", lambda x: x[:, ::2, 1::3, -9::4], IMAGE),
    function("slice_negative", lambda x: x[:, :, -4:-1, :-2], IMAGE),
    function("slice_beyond", lambda x: x[:, :, 2:100], IMAGE),
    function("slice_all", lambda x: x[:, :], IMAGE),
    function("select", lambda x: x[:, 2], IMAGE),
    function("select_last", lambda x: x[..., -1], IMAGE),
    function("narrow", lambda x: x.narrow(2, 3, 4), IMAGE),
    function("reshape", lambda x: x.reshape(2, 3, 2, 99), IMAGE),
    function("view", lambda x: x.view(2, -1), IMAGE),
    function("flatten", lambda x: x.flatten(1), IMAGE),
    function("flatten_middle", lambda x: x.flatten(1, 2), IMAGE),
    function("unflatten", lambda x: x.unflatten(1, (2, 3)), IMAGE),
    function("squeeze", lambda x: x.squeeze(), (1, 6, 1, 11)),
    function("squeeze_axis", lambda x: x.squeeze(2), (2, 6, 1, 11)),
    function("squeeze_axes", lambda x: x.squeeze((2, 3)), (2, 6, 1, 1)),
    function("unsqueeze", lambda x: x.unsqueeze(-1).unsqueeze(1), (3, 11)),
    function("permute", lambda x: x.permute(0, 2, 3, 1), IMAGE),
    function("permute_negative", lambda x: x.permute(0, -1, 1, 2), IMAGE),
    function("transpose", lambda x: x.transpose(1, -1), IMAGE),
    function("matrix_transpose", lambda x: x.t(), (3, 11)),
    function("channel_shuffle", lambda x: x.view(2, 3, 2, 9, 11).transpose(1, 2).reshape(2, 6, 9, 11), IMAGE),
    module("channel_shuffle_module", lambda: nn.ChannelShuffle(3), IMAGE),
    module("pixel_shuffle", lambda: nn.PixelShuffle(2), (2, 12, 3, 5)),
    module("pixel_unshuffle", lambda: nn.PixelUnshuffle(3), (2, 2, 9, 6)),
    function("expand", lambda x: x.expand(-1, 6, 9, -1), (2, 6, 1, 11)),
    function("repeat", lambda x: x.repeat(1, 2, 1, 3), IMAGE),
    function("flip", lambda x: x.flip(3), IMAGE),
    function("roll", lambda x: x.roll(2, 3), IMAGE),
    function("contiguous", lambda x: x.permute(0, 2, 3, 1).contiguous(), IMAGE),
    function("clone", lambda x: x.clone(), IMAGE),
    function("detach", lambda x: x.detach() * 1, IMAGE),
    module("dropout", lambda: nn.Sequential(nn.Dropout(), nn.Dropout2d(), nn.Identity()), IMAGE),
    function("to_float", lambda x: x.float().to(torch.float32) * 2, IMAGE),
    function("pad", lambda x: F.pad(x, (1, 2, 3, 0)), IMAGE),
    function("pad_value", lambda x: F.pad(x, (1, 2), value=-1.5), IMAGE),
    function("pad_negative", lambda x: F.pad(x, (-1, 2, 3, -4)), IMAGE),
    function("pad_crop", lambda x: F.pad(x, (-1, -2)), IMAGE),
    function("pad_channels", lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)), IMAGE),
    function("pad_nothing", lambda x: F.pad(x, (0, 0)), IMAGE),
    *(function(f"pad_{mode}", lambda x, m=mode: F.pad(x, (3, 2, 1, 4), mode=m), IMAGE) for mode in _MODES),
    *(function(f"pad_{mode}_sequences", lambda x, m=mode: F.pad(x, (4, 0), mode=m), (2, 3, 9)) for mode in _MODES),
    *(
        function(f"pad_{mode}_one_image", lambda x, m=mode: F.pad(x, (1, 2, 0, 3), mode=m), (6, 9, 4))
        for mode in _MODES
    ),
    *(
        function(f"pad_{mode}_volumes", lambda x, m=mode: F.pad(x, (1, 0, 2, 1, 1, 2), mode=m), (2, 3, 4, 5, 6))
        for mode in _MODES
    ),
    *(function(f"pad_{mode}_crops", lambda x, m=mode: F.pad(x, (-2, 1, 2, -3), mode=m), IMAGE) for mode in _MODES),
    *(module(f"pad_{mode}_between", lambda m=mode: _padded(m), IMAGE) for mode in _MODES),
    function("pad_minus_infinity", lambda x: F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-float("inf")), 2), IMAGE),
]

_UPSAMPLED: list[tuple[str, dict[str, Any]]] = [
    ("nearest_2", {"scale_factor": 2}),
    ("nearest_fraction", {"scale_factor": (1.7, 2.3)}),
    ("nearest_smaller", {"scale_factor": 0.6}),
    ("nearest_size", {"size": (13, 7)}),
    ("nearest_recomputed", {"scale_factor": 1.7, "recompute_scale_factor": True}),
    ("bilinear_2", {"scale_factor": 2, "mode": "bilinear"}),
    ("bilinear_fraction", {"scale_factor": (1.7, 2.3), "mode": "bilinear", "align_corners": False}),
    ("bilinear_smaller", {"scale_factor": 0.6, "mode": "bilinear"}),
    ("bilinear_size", {"size": (13, 7), "mode": "bilinear"}),
    ("bilinear_aligned_2", {"scale_factor": 2, "mode": "bilinear", "align_corners": True}),
    ("bilinear_aligned_size", {"size": (4, 25), "mode": "bilinear", "align_corners": True}),
    ("bilinear_aligned_to_one", {"size": (1, 5), "mode": "bilinear", "align_corners": True}),
    ("bilinear_recomputed", {"scale_factor": 1.7, "mode": "bilinear", "recompute_scale_factor": True}),
    ("nearest_stays", {"scale_factor": 1.06}),
    ("nearest_doubles", {"scale_factor": 2.04}),
    ("nearest_almost_doubles", {"scale_factor": (1.97, 2.0)}),
    ("bilinear_stays", {"scale_factor": 1.06, "mode": "bilinear"}),
    ("bilinear_stays_aligned", {"scale_factor": (1.06, 1.7), "mode": "bilinear", "align_corners": True}),
    ("bilinear_doubles", {"scale_factor": 2.04, "mode": "bilinear"}),
    ("area", {"size": (3, 11), "mode": "area"}),
]
#: the other spelling of the same operators: two factors in the place of a list, or none
_NEAREST, _BILINEAR = torch.ops.aten.upsample_nearest2d, torch.ops.aten.upsample_bilinear2d

UPSAMPLING = [
    *(function(f"interpolate_{n}", lambda x, k=options: F.interpolate(x, **k), IMAGE) for n, options in _UPSAMPLED),
    function("nearest_with_factors", lambda x: _NEAREST(x, (15, 18), 1.7, 2.3), IMAGE),
    function("nearest_with_one_factor", lambda x: _NEAREST(x, (15, 17), None, 2.2), IMAGE),
    function("nearest_without_factors", lambda x: _NEAREST(x, (15, 18)), IMAGE),
    function("bilinear_with_factors", lambda x: _BILINEAR(x, (15, 18), False, 1.7, 2.3), IMAGE),
    function("bilinear_with_a_keyword", lambda x: _BILINEAR(x, (15, 18), False, scales_w=2.3), IMAGE),
    function("bilinear_aligned_with_factors", lambda x: _BILINEAR(x, (15, 18), True, 1.7, 2.3), IMAGE),
    function("interpolate_one_pixel", lambda x: F.interpolate(x, size=(4, 3), mode="bilinear"), (1, 6, 1, 1)),
    module("upsample_between_convs", lambda: _between(nn.Upsample(scale_factor=2)), IMAGE),
    module("upsample_bilinear_between_convs", lambda: _between(nn.UpsamplingBilinear2d(scale_factor=2)), IMAGE),
]


def _between(middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(6, 4, 3, padding=1), middle, nn.Conv2d(4, 5, 3, padding=1))
