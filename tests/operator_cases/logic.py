"""Comparisons, masks and choices."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, function

LOGIC = [
    function("greater", lambda x: (x > 0.1).float(), IMAGE),
    function("greater_or_equal", lambda x: (x >= x.flip(1)).float(), IMAGE),
    function("less", lambda x, y: (x < y).float(), IMAGE, (6, 1, 1)),
    function("less_or_equal", lambda x, y: (x <= y).float(), (6, 1, 1), IMAGE),
    function("equal", lambda x: (F.relu(x) == 0).float(), IMAGE),
    function("not_equal", lambda x: (F.relu(x) != 0).float(), IMAGE),
    function("strange_numbers", lambda x: _told(_odd(x)), IMAGE),
    function("number_less", lambda x: (x > 0.5).float(), IMAGE),
    function("compare_with_integers", lambda x: (3 * x > torch.arange(11)).float(), IMAGE),
    function("times_mask", lambda x: x * (x > 0), IMAGE),
    function("mask_times_mask", lambda x: ((x > 0) * (x < 1)).float(), IMAGE),
    function("mask_plus_mask", lambda x: ((x > 0) + (x > 1)).float(), IMAGE),
    function("mask_plus_number", lambda x: (x > 0) + 0.5, IMAGE),
    function("and_or_not", lambda x: ((x > 0) & ~(x > 1) | (x < -1)).float(), IMAGE),
    function("exclusive_or", lambda x: ((x > 0) ^ (x < 1)).float(), IMAGE),
    function("logical", lambda x: torch.logical_and(F.relu(x), torch.logical_not(x > 1)).float(), IMAGE),
    function("logical_or", lambda x: torch.logical_or(F.relu(x), x < -1).float(), IMAGE),
    function("logical_xor", lambda x: torch.logical_xor(F.relu(x), x > 1).float(), IMAGE),
    function("to_bool", lambda x: F.relu(x).bool().float(), IMAGE),
    function("mask_of_constant", lambda x: (x > 0).logical_and(torch.arange(11) > 4).float(), IMAGE),
    function("views_of_mask", lambda x: (x > 0)[:, 1:3].permute(0, 2, 1, 3).reshape(2, 9, 22).float(), IMAGE),
    function("joined_masks", lambda x: torch.cat([x > 0, x < 1], 1).float(), IMAGE),
    function("expanded_mask", lambda x: (x[:, :1] > 0).expand(-1, 6, -1, -1) * x, IMAGE),
    function("chosen", lambda x, y: torch.where(x > y, x, y * 0.1), IMAGE, (9, 11)),
    function("chosen_numbers", lambda x: torch.where(x > 0, 1.0, -1.0), IMAGE),
    function("chosen_number_and_tensor", lambda x: torch.where(x > 0, x, -1.0) + torch.where(x > 0, -1.0, x), IMAGE),
    function("chosen_beside_nan", lambda x: torch.where(x > 0, x.log(), x), IMAGE),
    function("chosen_by_constant", lambda x: torch.where(torch.arange(11) > 4, x, -x), IMAGE),
    function("threshold", lambda x: F.threshold(x, 0.25, -2.0), IMAGE),
    function("hardshrink", lambda x: F.hardshrink(x, 0.25), IMAGE),
    function("softshrink", lambda x: F.softshrink(x, 0.25), IMAGE),
    function("upper_triangle", lambda x: torch.triu(x, 1), IMAGE),
    function("lower_triangle", lambda x: torch.tril(x), (5, 7)),
    function("causal_mask", lambda x: x.masked_fill(torch.ones(9, 11).triu(1).bool(), -1e9).softmax(-1), IMAGE),
    function("ones_like_mask", lambda x: torch.ones_like(x > 0) * x, IMAGE),
]


def _odd(x: Tensor) -> Tensor:
    """Some of its numbers become NaN or infinite."""
    return torch.where(x > 1, x / 0.0, torch.where(x < -1, x.sqrt(), x))


def _told(x: Tensor) -> Tensor:
    """What comparisons and the like say of NaN and infinity, and of a number beside itself."""
    said = [x == x, x != x, torch.le(x, x), torch.ge(x, x), torch.lt(x, x), torch.gt(x, x), x > 0, x <= 0, x == 0]
    said += [x.isnan(), x.isinf(), x.isfinite()]
    return torch.stack([*(truth.float() for truth in said), x.sign(), torch.nan_to_num(x, 0.5, 9.0, -9.0)])
