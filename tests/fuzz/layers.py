"""Steps with weights: convolutions, linear layers, norms, poolings."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import nets
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from fuzz.network import Maker, Step, pick


def _module(module: nn.Module, source: int) -> Step:
    return Step(str(module), module.eval(), (source,))


def conv(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A convolution of images, pruned in half of the cases."""
    x, choice = values[source], random.choice
    if x.dim() != 4:
        return None
    ic = x.shape[1]
    kernel = (choice([1, 1, 2, 3, 3, 5]), choice([1, 1, 3, 3, 4]))
    groups = choice([1, 1, 1, ic, 2 if ic % 2 == 0 else 1])
    oc = groups * choice([1, 2, 4, 8])
    padding = choice([0, 1, 2, (0, 1), "same", "valid"])
    stride = 1 if padding == "same" else choice([1, 1, 2, (1, 2), 3])
    mode = choice(["reflect", "circular", "replicate"]) if choice([True] + [False] * 5) else "zeros"
    made = nn.Conv2d(
        ic, oc, kernel, stride, padding, choice([1, 1, 2]), groups, bias=choice([True, False]), padding_mode=mode
    )
    if groups == 1 and choice([True, False]):
        nets.impose_1xn(nn.Sequential(made), choice([1, 2, 4, 8]), choice([0.5, 0.75, 0.9]), include=["0"],
                        rearrange=choice([True, False]))  # fmt: skip
    if choice([True, False, False]):
        norm = nn.BatchNorm2d(oc)
        _shake(norm)
        return _module(nn.Sequential(made, norm), source)
    return _module(made, source)


def transposed(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A transposed convolution."""
    x, choice = values[source], random.choice
    if x.dim() != 4:
        return None
    groups = choice([1, 1, x.shape[1]])
    stride = choice([1, 2, 3])
    return _module(
        nn.ConvTranspose2d(
            x.shape[1], groups * choice([1, 3, 4]), choice([1, 2, 3, 4]), stride, choice([0, 1]),
            choice([0, stride - 1]), groups, choice([True, False]), choice([1, 1, 2]),
        ),
        source,
    )  # fmt: skip


def linear(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A linear layer on the last axis of anything, with weights of one or two axes."""
    x, choice = values[source], random.choice
    features = x.shape[-1] if x.dim() else 1
    if choice([True] * 5 + [False]):
        made = nn.Linear(features, choice([1, 4, 7, 16, 30]), bias=choice([True, False]))
        if choice([True, False]):
            nets.impose_1xn(nn.Sequential(made), choice([1, 4]), 0.5, include=["0"])
        return _module(made, source)
    weight = torch.randn(features)
    return Step("linear of a vector", lambda x: F.linear(x, weight), (source,))


def product(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """Products with a constant matrix, in all their forms."""
    x, choice = values[source], random.choice
    k, o = x.shape[-1] if x.dim() else 1, choice([1, 3, 8])
    weight = torch.randn(k, o) / k**0.5
    rows = x.shape[0] if x.dim() == 2 else 1
    bias = torch.randn(choice([(o,), (1,), (1, o), (rows, 1), (rows, o)]))
    beta, alpha = choice([0.0, 1.0, 0.5]), choice([1.0, 2.0])
    forms = {
        "matmul": lambda x: x @ weight,
        "addmm": lambda x: torch.addmm(bias, x, weight, beta=beta, alpha=alpha),
        "mm": lambda x: torch.mm(x, weight),
        "mv": lambda x: x @ weight[:, 0],
        "from the left": lambda x: weight.mT @ x.mT,
        "einsum": lambda x: torch.einsum("...k,ko->...o", x, weight),
        "tensordot": lambda x: torch.tensordot(x, weight, dims=1),
    }
    name = pick(random, forms)
    return Step(f"{name} beta={beta} alpha={alpha} bias={tuple(bias.shape)}", forms[name], (source,))


def attention(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """Products of tensors with each other."""
    x = values[source]
    if x.dim() < 2:
        return None
    forms = {
        "gram": lambda x: x @ x.mT / x.shape[-1],
        "non-local": lambda x: (x @ x.mT).softmax(-1) @ x,
        "bmm": lambda x: torch.bmm(x.flatten(0, -3), x.flatten(0, -3).transpose(1, 2)) / x.shape[-1],
        "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
        "baddbmm": lambda x: torch.baddbmm(x.flatten(0, -3)[..., :1], x.flatten(0, -3), x.flatten(0, -3).mT) / 8,
    }
    name = pick(random, forms)
    return Step(name, forms[name], (source,))


def norm(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A norm by itself."""
    x, choice = values[source], random.choice
    if x.dim() < 2:
        return None
    c = x.shape[1]
    made: list[nn.Module] = []
    if x.dim() == 4:
        made.append(nn.BatchNorm2d(c))
    if x.dim() in (2, 3):
        made.append(nn.BatchNorm1d(c))
    made += [nn.LayerNorm(x.shape[-1]), nn.GroupNorm(choice([1, c]), c), nn.LayerNorm(list(x.shape[1:]))]
    made += [nn.InstanceNorm2d(c, affine=True), nn.LocalResponseNorm(3)] if x.dim() == 4 else []
    made.append(nn.RMSNorm(x.shape[-1]))
    module = choice(made)
    _shake(module)
    return _module(module, source)


def pool(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A pooling of images, seldom of rows or volumes."""
    x, choice = values[source], random.choice
    if x.dim() == 3:
        return _module(choice([nn.MaxPool1d(2), nn.AvgPool1d(3, 1), nn.AdaptiveAvgPool1d(2)]), source)
    if x.dim() != 4:
        return None
    kernel, stride = choice([2, 3, (1, 2), 5]), choice([1, 2, 3])
    padding, ceil = choice([0, 1]), choice([True, False])
    return _module(
        choice(
            [
                nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil),
                nn.MaxPool2d(3, stride, 1, dilation=2),
                nn.AvgPool2d(kernel, stride, padding, ceil, choice([True, False])),
                nn.AvgPool2d(kernel, stride, divisor_override=choice([None, 3])),
                nn.AdaptiveAvgPool2d(choice([1, 1, 2, 3, (1, None)])),
                nn.AdaptiveMaxPool2d(choice([1, 2])),
                nn.LPPool2d(2, 2),
            ]
        ),
        source,
    )


def _shake(module: nn.Module) -> None:
    for m in module.modules():
        if getattr(m, "running_mean", None) is not None:
            m.running_mean.normal_()
            m.running_var.uniform_(0.5, 2)
        if isinstance(getattr(m, "weight", None), Tensor) and not isinstance(m, nn.Conv2d):
            nn.init.uniform_(m.weight, 0.5, 1.5)


#: with the number of times that each is in the pot
MAKERS: list[tuple[Maker, int]] = [
    (conv, 10), (transposed, 2), (linear, 4), (product, 3), (attention, 2), (norm, 3), (pool, 4),
]  # fmt: skip
