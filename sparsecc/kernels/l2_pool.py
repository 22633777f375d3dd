"""The Euclidean norm of a window, by the window kernel."""

from __future__ import annotations

from sparsecc._tvm import tirx
from sparsecc.kernels.extremes import f32
from sparsecc.kernels.window_combine import Combine

#: a sum of squares, times a factor for each pixel; its root
L2 = Combine(
    "l2",
    lambda buffers, channel: f32(0.0),
    lambda total, value, buffers, weight: total + value * value,
    lambda value, buffers, pixel: tirx.sqrt(value * buffers["scale"][pixel]),
    ("scale",),
)
