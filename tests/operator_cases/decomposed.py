"""Operators that are expressed by others: attention, sums of products, volumes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, Function, OperatorCase, function, module

TOKENS = (2, 3, 7, 8)
_attend = F.scaled_dot_product_attention


def _hidden(x: Tensor, mask: Tensor) -> Tensor:
    """With a row that sees nothing."""
    return _attend(x, x, x, attn_mask=(mask > 0) & (torch.arange(7) != 2)[:, None])


def _pool3d(name: str, *arguments: Any) -> OperatorCase:
    return module(f"avg_pool3d_{name}", lambda: nn.AvgPool3d(*arguments), (2, 3, 5, 7, 6))


DECOMPOSED = [
    function("attention", _attend, TOKENS, (2, 3, 9, 8), (2, 3, 9, 5)),
    function("attention_causal", lambda x: _attend(x, x, x, is_causal=True), TOKENS),
    function("attention_causal_wide", lambda x, y: _attend(x, y, y, is_causal=True), TOKENS, (2, 3, 9, 8)),
    function("attention_scaled", lambda x: _attend(x, x, x, scale=0.3), (7, 8)),
    function("attention_masked", lambda x, mask: _attend(x, x, x, attn_mask=mask), TOKENS, (7, 7)),
    function("attention_hidden", _hidden, TOKENS, (7, 7)),
    function("attention_of_constant_mask", lambda x: _attend(x, x, x, torch.ones(7, 7).tril().bool()), TOKENS),
    function("attention_of_groups", lambda x, y: _attend(x, y, y, enable_gqa=True), (2, 4, 7, 8), (2, 2, 7, 8)),
    module("multihead_attention", lambda: _self_attention(), (2, 7, 8)),
    module("transformer_layer", lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 7, 8)),
    function("einsum", lambda x, y: torch.einsum("nchw,nkhw->nck", x, y), IMAGE, (2, 5, 9, 11)),
    function("einsum_of_one", lambda x: torch.einsum("nchw->nhc", x), IMAGE),
    module("local_response_norm", lambda: nn.LocalResponseNorm(3, alpha=0.1), IMAGE),
    module("local_response_norm_even", lambda: nn.LocalResponseNorm(4, k=0.5), (2, 6, 9)),
    _pool3d("cube", 2),
    _pool3d("moves", (3, 2, 3), (2, 1, 2), (1, 1, 0)),
    _pool3d("uncounted", 3, 2, 1, True, False),
    _pool3d("divisor", (2, 3, 1), None, 0, False, True, 5),
    _pool3d("depth", (3, 1, 1), 1, (1, 0, 0)),
    module("pixel_unshuffle_twice", lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.PixelUnshuffle(2)), (1, 3, 8, 12)),
    function("roll_windows", lambda x: x.roll((-2, 3), (2, 3)), IMAGE),
    function("choose", lambda x, y: torch.where((x >= y) & (x != 0), x, y * 2) + (x < y).float(), IMAGE, IMAGE),
    function("interpolate_sequence", lambda x: F.interpolate(x, scale_factor=2, mode="linear"), (2, 3, 9)),
    function("interpolate_exact", lambda x: F.interpolate(x, size=(13, 7), mode="nearest-exact"), IMAGE),
    function("interpolate_cubic", lambda x: F.interpolate(x, size=(13, 7), mode="bicubic"), IMAGE),
    function("unfold_windows", lambda x: F.unfold(x, (2, 3), padding=1), IMAGE),
]


def _self_attention() -> nn.Module:
    attend = nn.MultiheadAttention(8, 2, batch_first=True)
    made = Function(lambda x: attend(x, x, x, need_weights=False)[0])
    made.attend = attend
    return made
