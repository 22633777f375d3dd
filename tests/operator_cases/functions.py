"""Functions of one or two numbers that few networks have, products, sums of all elements up to each, folding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, OperatorCase, function

ROW = (3, 37)


def _three_times(x: Tensor) -> Tensor:
    return 3 * x


def _above_one(x: Tensor) -> Tensor:
    return 1.5 + x.abs()


def _one(name: str, before: Callable[[Tensor], Tensor] = _three_times) -> OperatorCase:
    of: Callable[..., Any] = getattr(torch, name)
    return function(name, lambda x: of(before(x)), ROW)


def _two(name: str, of: Callable[..., Any]) -> OperatorCase:
    return function(name, lambda x, y: of(5 * x, y), ROW, ROW)


FUNCTIONS = [
    *map(_one, ("floor", "ceil", "round", "trunc", "frac", "sin", "cos", "sinh", "cosh", "asinh", "atan", "exp2")),
    function("tan", lambda x: x.tanh().tan(), ROW),
    *(_one(name, torch.tanh) for name in ("asin", "acos", "atanh")),
    *(_one(name, _above_one) for name in ("acosh", "log2", "log10")),
    _two("atan2", torch.atan2),
    _two("pow", lambda x, y: x.abs() ** y + 1.5**y),
    _two("pow_of_negative", lambda x, y: x ** y.round()),
    _two("remainder", lambda x, y: torch.remainder(x, y) + torch.remainder(x, 0.7) + torch.remainder(x, -0.7)),
    _two("fmod", lambda x, y: torch.fmod(x, y) + torch.fmod(x, 0.7)),
    _two("floor_divide", lambda x, y: x // y + x // 0.5),
    _two("divide_rounded", lambda x, y: torch.div(x, y, rounding_mode="trunc") + x.div(2.0, rounding_mode="floor")),
    function("round_halves", lambda x: (x.round() / 2).round(), ROW),
    function("prod", lambda x: x.prod(1) + x.prod(1, keepdim=True)[:, 0], IMAGE),
    function("prod_of_everything", lambda x: x.prod(), (3, 5)),
    function("cumsum", lambda x: x.cumsum(1) + x.cumsum(-1) + x.cumsum(0), IMAGE),
    function("cumsum_long", lambda x: x.cumsum(-1), (2, 4500)),
    function("cumsum_long_columns", lambda x: x.cumsum(0), (130, 5)),
    function("cumsum_of_infinity", lambda x: (1 / (x > 1).float()).cumsum(-1), ROW),
    function("fold", lambda x: F.fold(F.unfold(x, (2, 3), padding=1), (9, 11), (2, 3), padding=1), IMAGE),
    function("fold_moves", lambda x: F.fold(x, (6, 8), (2, 3), 2, 1, (2, 3)), (2, 12, 6)),
]
