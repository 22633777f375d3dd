"""A network of everything that NaN, infinities and denormals go through, and an input made of them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

NAN, INF = float("nan"), float("inf")
SPECIAL = (
    NAN, INF, -INF, 0.0, -0.0, 1e-40, -1e-40, 1e30, -1e30, 3.5, -3.5, 87.5, -87.5, 88.5, -88.5, 90.0, -90.0, 19.0, 21.0,
)  # fmt: skip
#: no multiple of a vector, and wider than two of the widest
WIDTH = 37

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "clamp": lambda x: x.clamp(-0.5, 0.25),
    "clamp_low": lambda x: x.clamp(min=-0.5),
    "clamp_high": lambda x: x.clamp(max=0.5),
    "leaky_relu": F.leaky_relu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "mish": F.mish,
    "elu": F.elu,
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 0.5),
    "softplus": F.softplus,
    "softplus_late": lambda x: F.softplus(x, 2.0, 80.0),
}
OPERATORS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "erf": torch.erf,
    "sqrt": torch.sqrt,
    "log": lambda x: torch.log(x * 2),
    "log1p": torch.log1p,
    "expm1": torch.expm1,
    "clamp_by_tensors": lambda x: x.clamp(x.flip(3), x.flip(2)),
    "abs": torch.abs,
    "times_zero": lambda x: x * 0.0,
    "times_minus_zero": lambda x: -0.0 * x,
    "zero_by": lambda x: 0.0 / x,
    "scalar_times_zero": lambda x: x[0, 0, 0, 0] * 0.0,
    "maximum": lambda x: torch.maximum(x, x.flip(3)),
    "minimum": lambda x: torch.minimum(x.flip(3), x),
    "maximum_of_product": lambda x: torch.maximum(x, x.flip(3) * 2),
    "sum": lambda x: x.sum(3),
    "mean": lambda x: x.mean(2, keepdim=True),
    "softmax_last": lambda x: x.softmax(3),
    "softmax_rows": lambda x: x.softmax(2),
    "softmax_turned": lambda x: x.transpose(2, 3).softmax(2),
    "log_softmax": lambda x: x.log_softmax(3),
    "log_softmax_turned": lambda x: x.transpose(2, 3).log_softmax(2),
    "max_pool_row": lambda x: F.max_pool2d(x, (1, 3), 1, (0, 1)),
    "max_pool": lambda x: F.max_pool2d(x[:, :, :5], 3, 1, 1),
    "max_pool_strided": lambda x: F.max_pool2d(x[:, :, 3:], 3, 2, 1),
    "max_pool_large": lambda x: F.max_pool2d(x[:, :, :3], (3, 17), 1, (1, 8)),
    "max_pool_whole": lambda x: F.adaptive_max_pool2d(x[:, :, 2:3], 1),
    "avg_pool": lambda x: F.avg_pool2d(x, (1, 3), 1, (0, 1)),
}


def special_input() -> Tensor:
    """Rows of all special values; of -inf; of numbers with -inf, with inf, with NaN, with large ones; of numbers."""
    rows = np.random.default_rng(0).standard_normal((8, WIDTH)).astype(np.float32)
    rows[0], rows[1] = np.resize(SPECIAL, WIDTH), np.resize(SPECIAL[::-1], WIDTH)
    rows[2] = -INF
    rows[3, [0, 17, 36]], rows[4, 36], rows[5, 20], rows[6, [3, 30]] = -INF, INF, NAN, (1e30, -1e30)
    return torch.from_numpy(rows.reshape(1, 1, 8, WIDTH))


class Special(nn.Module):
    """Activations alone and as epilogues of convolutions, depthwise and linear layers, residuals, other operators.

    ``every`` epilogue of every layer, or else each of one layer: code for all takes minutes to make.
    """

    def __init__(self, *, every: bool = False) -> None:
        super().__init__()
        self.every = every
        self.conv = nn.ModuleList(_ones(nn.Conv2d(1, 4, 1)) for _ in ACTIVATIONS)
        self.depthwise = nn.ModuleList(_ones(nn.Conv2d(1, 1, (1, 3), groups=1, padding=(0, 1))) for _ in ACTIVATIONS)
        self.linear = nn.ModuleList(_ones(nn.Linear(1, 5)) for _ in ACTIVATIONS)
        self.prelu = nn.PReLU(1)

    def results(self, x: Tensor) -> dict[str, Tensor]:
        """What it computes, by name."""
        found = {name: compute(x) for name, compute in (OPERATORS | ACTIVATIONS).items()}
        for i, (name, activation) in enumerate(ACTIVATIONS.items()):
            if self.every or i % 3 == 0:
                found[f"conv_{name}"] = activation(self.conv[i](x))
            if self.every or i % 3 == 1:
                found[f"depthwise_{name}"] = activation(self.depthwise[i](x[:, :, :3]))
            if self.every or i % 3 == 2:
                found[f"linear_{name}"] = activation(self.linear[i](x.reshape(-1, 1)))
        found["residual_before"] = F.relu(self.conv[0](x) + x)
        found["residual_after"] = F.relu(self.conv[0](x)) + x
        found["chain"] = F.max_pool2d(self.conv[0](x), 3, 2, 1)
        found["prelu"] = self.prelu(x)
        found["prelu_of_channels"] = F.prelu(x.reshape(1, 8, WIDTH), torch.linspace(-0.5, 1.5, 8).to(x.dtype))
        return found

    def forward(self, x: Tensor) -> list[Tensor]:
        """All results."""
        return list(self.results(x).values())


def _ones(layer: nn.Module) -> nn.Module:
    layer.weight.data.fill_(1.0)
    layer.bias.data.fill_(0.0)
    return layer


@functools.cache
def special(*, every: bool) -> tuple[Special, torch.export.ExportedProgram]:
    """The network, and what every target is compiled from."""
    model = Special(every=every).eval()
    return model, torch.export.export(model, (special_input(),))


@torch.no_grad()
def wrong(model: Special, x: Tensor, found: NDArray[np.float32]) -> dict[str, str]:
    """Every result, of all one after another, that differs from PyTorch's in float64, and where.

    Denormals are read as zero.
    """
    complaints = {}
    read = torch.where(x.abs() < torch.finfo(torch.float32).tiny, x * 0, x)
    for name, expected in copy.deepcopy(model).double().results(read.double()).items():
        want = expected.float().flatten().numpy()
        got, found = found[: want.size], found[want.size :]
        with np.errstate(invalid="ignore"):
            same = (got == want) | (np.abs(got - want) <= 1e-5 * np.maximum(1, np.abs(want)))
        bad = ~same & ~(np.isnan(got) & np.isnan(want))
        if bad.any():
            complaints[name] = f"{bad.sum()} at {np.flatnonzero(bad)[:6]}: {got[bad][:6]}, expected {want[bad][:6]}"
    return complaints
