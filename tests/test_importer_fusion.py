"""What joins the convolution before it, and what can not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from helpers import agree, kinds
from operator_cases import Function
from small_nets import SMALL, Residual
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def conv_bn(*activation: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), *activation)


FUSED = {
    "conv": conv_bn,
    "relu": lambda: conv_bn(nn.ReLU()),
    "relu6": lambda: conv_bn(nn.ReLU6()),
    "leaky": lambda: conv_bn(nn.LeakyReLU(0.1)),
    "prelu": lambda: conv_bn(nn.PReLU()),
    "hardswish": lambda: conv_bn(nn.Hardswish()),
    "hardsigmoid": lambda: conv_bn(nn.Hardsigmoid()),
    "sigmoid": lambda: conv_bn(nn.Sigmoid()),
    "silu": lambda: conv_bn(nn.SiLU()),
    "tanh": lambda: conv_bn(nn.Tanh()),
    "gelu": lambda: conv_bn(nn.GELU()),
    "gelu_tanh": lambda: conv_bn(nn.GELU("tanh")),
    "mish": lambda: conv_bn(nn.Mish()),
    "elu": lambda: conv_bn(nn.ELU(0.5)),
    "softplus": lambda: conv_bn(nn.Softplus()),
    "residual": lambda: Residual(conv_bn(), torch.add),
    "residual_first": lambda: Residual(conv_bn(), lambda y, x: x + y),
    "residual_relu": lambda: Residual(conv_bn(), lambda y, x: F.relu(y + x)),
    "relu_residual": lambda: Residual(conv_bn(nn.ReLU()), torch.add),
    "bias_as_sum": lambda: Function(lambda x: F.conv2d(x, torch.ones(4, 16, 1, 1)) + torch.arange(4.0)[:, None, None]),
}


@pytest.mark.parametrize("name", FUSED)
def test_what_follows_a_convolution_joins_it(name: str) -> None:
    artefact = agree(FUSED[name](), SMALL)
    assert [kind for kind in kinds(artefact) if kind != "repack"] == ["direct"]


@pytest.mark.parametrize(
    ("name", "join"),
    [
        ("alpha", lambda y, x: torch.add(y, x, alpha=2)),
        ("scaled", lambda y, x: y * 0.5 + x),
        ("itself", lambda y, x: y + y),
        ("relu_twice", lambda y, x: F.relu(F.relu(y) - 0.5)),
        ("residual_both_sides", lambda y, x: x + F.relu(y + x)),
        ("sum_of_three", lambda y, x: y + x + y.relu()),
        ("channel", lambda y, x: y + x[:, :1]),
        ("pixel", lambda y, x: y + x.mean((2, 3), keepdim=True)),
        ("used_twice", lambda y, x: torch.cat([y.relu(), y + x], 1)),
        ("subtracted", lambda y, x: x - y),
        ("gated", lambda y, x: y * x.sigmoid()),
        ("gate_of_itself", lambda y, x: y * y.sigmoid()),
    ],
)
def test_what_can_not_join_is_still_right(name: str, join: Callable[[Tensor, Tensor], Tensor]) -> None:
    agree(Residual(conv_bn(), join), SMALL)


@pytest.mark.parametrize("act", [nn.ReLU, nn.SiLU, nn.Hardswish, nn.Sigmoid], ids=lambda act: act.__name__)
def test_activation_of_linear_and_depthwise(act: type[nn.Module]) -> None:
    model = nn.Sequential(nn.Conv2d(16, 16, 3, groups=16), act(), nn.Flatten(), nn.Linear(560, 9), act())
    assert "generic" not in kinds(agree(model, SMALL))
