"""How the values of a window become one: what tells a depthwise convolution from a pooling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparsecc.kernels.extremes import f32, larger
from sparsecc.kernels.half import like

Expr = Any
Buffers = dict[str, Any]


def _unchanged(value: Expr, _buffers: Buffers, _pixel: Expr) -> Expr:
    return value


@dataclass(frozen=True)
class Combine:
    """A way to combine the values of a window.

    Attributes
    ----------
    name : str
        In keys of records.
    start : callable
        What an accumulator begins with, of the kernel's buffers and the channel.
    add : callable
        The accumulator after one more value, of both, the buffers, and the place of the tap's weight.
    finish : callable
        The result, of the accumulator, the buffers and the pixel.
    parameters : tuple of str
        Constants that these read.
    widens : bool
        Values of half precision are combined in float32.
    """

    name: str
    start: Callable[[Buffers, Expr], Expr]
    add: Callable[[Expr, Expr, Buffers, Expr], Expr]
    finish: Callable[[Expr, Buffers, Expr], Expr] = _unchanged
    parameters: tuple[str, ...] = ()
    widens: bool = False


#: a depthwise convolution
WEIGHTED = Combine(
    "weighted",
    lambda buffers, channel: buffers["bias"][channel],
    lambda total, value, buffers, weight: total + value * like(buffers["data"][weight], value),
    parameters=("data", "bias"),
    widens=True,
)
#: an average: a factor for each pixel
SUM = Combine(
    "sum",
    lambda buffers, channel: f32(0.0),
    lambda total, value, buffers, weight: total + value,
    lambda value, buffers, pixel: value * buffers["scale"][pixel],
    ("scale",),
    widens=True,
)
#: the largest value
MAX = Combine(
    "max", lambda buffers, channel: f32(-math.inf), lambda total, value, buffers, weight: larger(total, value)
)
