"""Activations and arithmetic."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, function, module

ACTIVATIONS = [
    module("relu", nn.ReLU, IMAGE),
    module("relu_inplace", lambda: nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU(inplace=True)), IMAGE),
    module("relu6", nn.ReLU6, IMAGE),
    module("hardtanh", lambda: nn.Hardtanh(-0.3, 0.7), IMAGE),
    module("leaky_relu", lambda: nn.LeakyReLU(0.2), IMAGE),
    module("leaky_relu_default", nn.LeakyReLU, IMAGE),
    module("hardswish", nn.Hardswish, IMAGE),
    module("hardsigmoid", nn.Hardsigmoid, IMAGE),
    module("sigmoid", nn.Sigmoid, IMAGE),
    module("silu", nn.SiLU, IMAGE),
    module("tanh", nn.Tanh, IMAGE),
    module("gelu", nn.GELU, IMAGE),
    module("gelu_tanh", lambda: nn.GELU("tanh"), IMAGE),
    module("mish", nn.Mish, IMAGE),
    module("hardshrink", nn.Hardshrink, IMAGE),
    module("hardshrink_after_conv", lambda: nn.Sequential(nn.Conv2d(6, 4, 1), nn.Hardshrink(0.1)), IMAGE),
    module("elu", lambda: nn.ELU(0.7), IMAGE),
    module("selu", nn.SELU, IMAGE),
    module("celu", lambda: nn.CELU(0.5), IMAGE),
    module("softplus", lambda: nn.Softplus(2.0, 5.0), IMAGE),
    module("prelu_one", lambda: nn.PReLU(init=0.3), IMAGE),
    module("prelu_negative", lambda: nn.PReLU(init=-0.3), IMAGE),
    module("prelu_many", lambda: _prelu(6), IMAGE),
    module("prelu_features", lambda: _prelu(11), (3, 11)),
    module("prelu_after_conv", lambda: nn.Sequential(nn.Conv2d(6, 8, 3), _prelu(8)), IMAGE),
    module("prelu_one_after_conv", lambda: nn.Sequential(nn.Conv2d(6, 8, 3), nn.PReLU(init=-0.5)), IMAGE),
    function("clamp", lambda x: x.clamp(-0.5, 0.25), IMAGE),
    function("clamp_low", lambda x: x.clamp(min=-0.5), IMAGE),
    function("clamp_high", lambda x: x.clamp(max=0.5), IMAGE),
    function("clamp_min", lambda x: torch.clamp_min(x, 0.1), IMAGE),
    function("clamp_max", lambda x: torch.clamp_max(x, 0.1), IMAGE),
    function("clamp_by_tensors", lambda x, y: x.clamp(y * 0.5, y.abs()), IMAGE, (6, 1, 1)),
    function("clamp_by_crossed_tensors", lambda x, y: x.clamp(y, -y), IMAGE, (11,)),
    function(
        "clamp_by_numbers_in_tensors", lambda x: x.clamp(max=torch.tensor(0.5)) + x.clamp(torch.tensor(0.1)), IMAGE
    ),
    function("clamp_min_by_tensor", lambda x, y: torch.clamp_min(x, y), (6, 1, 1), IMAGE),
    function("clamp_max_by_tensor", lambda x, y: torch.clamp_max(x, y), IMAGE, (1,)),
    function("clamp_beside_nan", lambda x: _clamped_beside_nan(x, x.sqrt(), x.flip(3)), IMAGE),
    function("softmax_last", lambda x: x.softmax(-1), (3, 11)),
    function("softmax_channels", lambda x: x.softmax(1), IMAGE),
    function("softmax_rows", lambda x: x.softmax(2), IMAGE),
    function("softmax_batch", lambda x: x.softmax(0), (3, 11)),
    function("softmax_large", lambda x: (1000 * x).softmax(1), (3, 11)),
    function("softmax_after_conv", lambda x: F.conv2d(x, torch.ones(3, 6, 1, 1)).softmax(1), IMAGE),
    function("log_softmax", lambda x: x.log_softmax(1), (3, 11)),
    function("activations_at_extremes", lambda x: (x * 100).sigmoid() + (x * 100).tanh() + F.mish(x * 100), IMAGE),
    function("glu", lambda x: F.glu(x, 1), IMAGE),
]


def _clamped_beside_nan(x: torch.Tensor, odd: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Each of the operands is NaN at times."""
    bounds = [odd.clamp(x, y), x.clamp(odd, y), x.clamp(y, odd), torch.clamp_min(x, odd), torch.clamp_max(odd, x)]
    return torch.stack(bounds)


def _prelu(channels: int) -> nn.PReLU:
    layer = nn.PReLU(channels)
    layer.weight.data = torch.linspace(-0.5, 1.5, channels)
    return layer


ARITHMETIC = [
    function("add", lambda x, y: x + y, IMAGE, IMAGE),
    function("add_alpha", lambda x, y: torch.add(x, y, alpha=3), IMAGE, IMAGE),
    function("add_number", lambda x: x + 2, IMAGE),
    function("number_add_alpha", lambda x: torch.add(x, 2, alpha=3), IMAGE),
    function("add_itself", lambda x: x + x, IMAGE),
    function("add_broadcast", lambda x, y: x + y, IMAGE, (6, 1, 1)),
    function("add_broadcast_columns", lambda x, y: x + y, IMAGE, (11,)),
    function("add_broadcast_batch", lambda x, y: x + y, IMAGE, (1, 6, 9, 11)),
    function("sub", lambda x, y: x - y, IMAGE, IMAGE),
    function("sub_alpha", lambda x, y: torch.sub(x, y, alpha=2), IMAGE, IMAGE),
    function("sub_number", lambda x: x - 0.5, IMAGE),
    function("rsub", lambda x: 1 - x, IMAGE),
    function("rsub_alpha", lambda x: torch.rsub(x, 1, alpha=2), IMAGE),
    function("mul", lambda x, y: x * y, IMAGE, IMAGE),
    function("mul_number", lambda x: x * 3, IMAGE),
    function("mul_gate", lambda x, y: x * y, IMAGE, (2, 6, 1, 1)),
    function("div", lambda x, y: x / (y.abs() + 1), IMAGE, IMAGE),
    function("div_number", lambda x: x / 3, IMAGE),
    function("div_zero", lambda x: torch.cat([x / 0, F.relu(x) / -0.0, x / torch.tensor(0.0)], 1), IMAGE),
    function("number_div", lambda x: 1 / (x.abs() + 1), IMAGE),
    function("true_divide", lambda x, y: torch.true_divide(x, y.abs() + 1), IMAGE, IMAGE),
    function("neg", lambda x: -x, IMAGE),
    function("abs", lambda x: x.abs(), IMAGE),
    function("exp", lambda x: x.exp(), IMAGE),
    function("log", lambda x: (x.abs() + 0.1).log(), IMAGE),
    function("log1p", lambda x: (x.abs() * 1e-3).log1p() + x.log1p(), IMAGE),
    function("expm1", lambda x: (x * 1e-3).expm1() + x.expm1(), IMAGE),
    function("erf", lambda x: x.erf(), IMAGE),
    function("sqrt", lambda x: x.abs().sqrt(), IMAGE),
    function("rsqrt", lambda x: (x.abs() + 0.1).rsqrt(), IMAGE),
    function("reciprocal", lambda x: (x.abs() + 0.1).reciprocal(), IMAGE),
    function("square", lambda x: x.square(), IMAGE),
    function("power_2", lambda x: x**2, IMAGE),
    function("power_3", lambda x: x**3, IMAGE),
    function("power_half", lambda x: x.abs() ** 0.5, IMAGE),
    function("power_negative", lambda x: (x.abs() + 0.1) ** -1.5, IMAGE),
    function("maximum", torch.maximum, IMAGE, IMAGE),
    function("minimum", torch.minimum, IMAGE, IMAGE),
    function("matmul", torch.matmul, (3, 5), (5, 4)),
    function("mm", torch.mm, (3, 5), (5, 4)),
    function("mm_constant", lambda x: torch.mm(x, torch.arange(20.0).reshape(5, 4)), (3, 5)),
    function("addmm", lambda x: torch.addmm(torch.ones(4), x, torch.arange(20.0).reshape(5, 4)), (3, 5)),
    function("bmm", torch.bmm, (2, 3, 5), (2, 5, 4)),
    function("matmul_of_images", torch.matmul, (2, 3, 5, 7), (2, 3, 7, 4)),
    function("add_constant", lambda x: x + torch.ones(6, 1, 1), IMAGE),
    function("add_constant_plane", lambda x: x + torch.arange(99.0).reshape(9, 11), IMAGE),
    function("mul_double_number", lambda x: x * torch.tensor(2.5, dtype=torch.float64), IMAGE),
    function("softsign", F.softsign, IMAGE),
]
