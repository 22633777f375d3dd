"""Small networks with filters of zeros, and channels that nobody reads: for each what is left of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (everybody's name for it)

#: what a case's modules do with the input, and with them
Forward = Callable[[nn.ModuleDict, Tensor], object]


class Net(nn.Module):
    """Modules by name, and a function of them."""

    def __init__(self, modules: dict[str, nn.Module], forward: Forward) -> None:
        super().__init__()
        self.parts, self._forward = nn.ModuleDict(modules), forward

    def forward(self, x: Tensor) -> object:
        return self._forward(self.parts, x)


@dataclass(frozen=True)
class Case:
    """A network.

    Attributes
    ----------
    modules : callable
        Makes its layers.
    forward : callable
    zero : dict
        Layer -> filters that are zero; the rest of their batch norm and bias stays.
    left : dict
        Layer -> input and output channels that are left.
    unread : dict
        Layer -> input channels that it does not read.
    shape : tuple
        Of the input.
    """

    modules: Callable[[], dict[str, nn.Module]]
    forward: Forward
    zero: dict[str, Iterable[int]]
    left: dict[str, tuple[int, int]]
    unread: dict[str, Iterable[int]]
    shape: tuple[int, ...] = (2, 3, 7, 6)

    def build(self) -> nn.Module:
        """The network in evaluation mode, with biases of every sign."""
        torch.manual_seed(0)
        net = Net(self.modules(), self.forward).eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.bias)
                nn.init.normal_(module.running_mean, std=0.1)
        for name, filters in self.zero.items():
            self._weight(net, name)[list(filters)] = 0
        for name, channels in self.unread.items():
            self._weight(net, name)[:, list(channels)] = 0
        return net

    @staticmethod
    def _weight(net: Net, name: str) -> Tensor:
        module = net.parts[name]
        return (module[0] if isinstance(module, nn.Sequential) else module).weight.data


def conv(ic: int, oc: int, kernel: int = 1, *, bias: float | None = 0.5, **options: object) -> nn.Conv2d:
    """A convolution with padding; ``bias`` is that of all filters, None for random ones."""
    made = nn.Conv2d(ic, oc, kernel, padding=kernel // 2, **options)
    if bias is not None:
        nn.init.constant_(made.bias, bias)
    return made


def normed(ic: int, oc: int, kernel: int = 3, **options: object) -> nn.Sequential:
    """With batch norm after it."""
    return nn.Sequential(nn.Conv2d(ic, oc, kernel, padding=kernel // 2, bias=False, **options), nn.BatchNorm2d(oc))


def _case(modules, forward, zero=None, left=None, *, unread=None, shape=(2, 3, 7, 6)) -> Case:
    return Case(modules, forward, zero or {}, left or {}, unread or {}, shape)


def _two(second: Callable[[], nn.Module], between: Callable[[Tensor], Tensor] = F.relu, **options: object):
    """A 3x3 convolution of 6 filters, something, and what reads it."""
    bias = options.pop("bias", 0.5)
    return _case(
        lambda: {"a": conv(3, 6, 3, bias=bias), "b": second()}, lambda m, x: m["b"](between(m["a"](x))), **options
    )


def _residual(m, x):
    x = F.relu(m["a"](x))
    return m["c"](F.relu(m["b"](x) + x))


def _concat(m, x):
    y = F.relu(m["a"](x))
    return m["d"](F.relu(m["c"](torch.cat([y, m["b"](y), x], 1))))


def _shuffle(m, x):
    y = m["a"](x)
    n, c, h, w = y.shape
    y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
    one, other = y.chunk(2, 1)
    return m["b"](torch.cat([F.relu(other), one], 1))


def _one_window(m, x):
    y = F.relu(m["a"](x)).permute(0, 2, 3, 1)
    n, h, w, c = y.shape
    y = y.view(n, 1, h, 1, w, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
    return m["b"](y.permute(0, 3, 1, 2))


def _rows(m, x):
    y = F.relu(m["a"](x)).permute(0, 2, 3, 1)
    n, h, w, c = y.shape
    y = y.view(n, h // 2, 2, w, c).transpose(1, 2).reshape(n, h, w, c)
    return m["b"](y.permute(0, 3, 1, 2))


def _excited(m, x):
    y = F.relu(m["a"](x))
    gate = torch.sigmoid(m["up"](F.relu(m["down"](y.mean((2, 3), keepdim=True)))))
    return m["b"](y * gate)


CASES: dict[str, Case] = {
    "pointwise": _two(lambda: conv(6, 4), zero={"a": (1, 4)}, left={"a": (3, 4), "b": (4, 4)}),
    "negative constants": _two(lambda: conv(6, 4, 3), bias=-0.5, zero={"a": (1, 4)}, left={"a": (3, 4), "b": (4, 4)}),
    "borders": _two(lambda: conv(6, 4, 3), zero={"a": (1, 4, 5)}, left={"a": (3, 4), "b": (4, 4)}),
    "no borders": _two(lambda: nn.Conv2d(6, 4, 3), zero={"a": (1, 4, 5)}, left={"a": (3, 3), "b": (3, 4)}),
    "strided": _two(lambda: conv(6, 4, 3, stride=2), zero={"a": (0, 1)}, left={"a": (3, 5), "b": (5, 4)}),
    "dilated": _two(lambda: nn.Conv2d(6, 4, 3, padding=2, dilation=2), zero={"a": (0, 1)}, left={"b": (5, 4)}),
    "one left": _two(lambda: conv(6, 4), zero={"a": range(6)}, left={"a": (3, 1), "b": (1, 4)}),
    "depthwise": _case(
        lambda: {"a": conv(3, 6, 3, bias=None), "d": conv(6, 6, 3, bias=None, groups=6), "b": conv(6, 5)},
        lambda m, x: m["b"](F.relu6(m["d"](F.relu(m["a"](x))))),
        {"d": (0, 3)}, {"a": (3, 4), "d": (4, 4), "b": (4, 5)},
    ),
    "borders of a depthwise layer": _case(
        lambda: {"a": conv(3, 16, 3), "d": conv(16, 16, 3, bias=None, groups=16), "b": conv(16, 5)},
        lambda m, x: m["b"](m["d"](F.relu(m["a"](x)))),
        {"a": range(14)}, {"a": (3, 10), "d": (10, 10), "b": (10, 5)},
    ),
    "depthwise multiplier": _case(
        lambda: {"a": conv(3, 4, 3), "d": nn.Conv2d(4, 8, 3, groups=4), "b": conv(8, 5)},
        lambda m, x: m["b"](m["d"](F.relu(m["a"](x)))),
        {"a": (2,), "d": (0, 1)}, {"a": (3, 2), "d": (2, 4), "b": (4, 5)},
    ),
    "maximum": _two(
        lambda: conv(6, 4), lambda y: F.max_pool2d(y, 3, 2, 1), zero={"a": (1, 4)}, left={"b": (4, 4)}
    ),
    "average with borders": _two(
        lambda: conv(6, 4), lambda y: F.avg_pool2d(y, 3, 1, 1), zero={"a": (0, 1, 2)}, left={"b": (4, 4)}
    ),
    "average": _two(
        lambda: conv(6, 4), lambda y: F.avg_pool2d(y, 3, 1, 1, count_include_pad=False), zero={"a": (0, 1)},
        left={"b": (4, 4)},
    ),
    "mean": _two(lambda: nn.Linear(6, 4), lambda y: y.mean((2, 3)), zero={"a": (1, 4)}, left={"b": (4, 4)}),
    "flatten": _two(lambda: nn.Linear(252, 4), lambda y: y.flatten(1), zero={"a": (1,)}, left={"b": (210, 4)}),
    "nearest": _two(
        lambda: conv(6, 4), lambda y: F.interpolate(y, scale_factor=2.0), zero={"a": (1,)}, left={"b": (5, 4)}
    ),
    "bilinear": _two(
        lambda: conv(6, 4), lambda y: F.interpolate(y, size=(9, 9), mode="bilinear"), zero={"a": (1,)},
        left={"b": (5, 4)},
    ),
    "pad": _two(lambda: nn.Conv2d(6, 4, 3), lambda y: F.pad(y, (1, 1, 1, 1)), zero={"a": (1,)}, left={"b": (6, 4)}),
    "pad by itself": _two(
        lambda: nn.Conv2d(6, 4, 3), lambda y: F.pad(y, (1, 1, 1, 1), value=0.5), zero={"a": (1,)}, left={"b": (5, 4)}
    ),
    "reflected": _two(
        lambda: nn.Conv2d(6, 4, 3), lambda y: F.pad(y, (1, 1, 1, 1), mode="reflect"), zero={"a": (1,)},
        left={"b": (5, 4)},
    ),
    "affine": _two(
        lambda: nn.Sequential(nn.Conv2d(6, 4, 1)),
        lambda y: F.silu(y) * torch.arange(6.0).view(6, 1, 1) - torch.ones(6, 1, 1),
        zero={"a": (1,)}, left={"a": (3, 4), "b": (4, 4)},
    ),
    "transposed": _two(
        lambda: nn.ConvTranspose2d(6, 4, 2, stride=2), zero={"a": (1, 4)}, left={"a": (3, 4), "b": (4, 16)}
    ),
    "after a transposed one": _case(
        lambda: {"a": nn.ConvTranspose2d(3, 4, 2, stride=2, bias=False), "b": conv(4, 4)},
        lambda m, x: m["b"](m["a"](x)), left={"a": (3, 8), "b": (2, 4)}, unread={"a": (0, 1)},
    ),
    "sequence": _case(
        lambda: {"a": nn.Conv1d(3, 6, 3, padding=1), "b": nn.Conv1d(6, 4, 1)},
        lambda m, x: m["b"](F.relu(m["a"](x))), {"a": (1,)}, {"a": (3, 5), "b": (5, 4)}, shape=(2, 3, 11),
    ),
    "residual": _case(
        lambda: {"a": conv(3, 6, 3), "b": conv(6, 6), "c": conv(6, 4)}, _residual,
        {"a": (1, 2), "b": (2, 3)}, {"a": (3, 5), "b": (5, 5), "c": (5, 4)},
    ),
    "concat": _case(
        lambda: {"a": conv(3, 6), "b": conv(6, 4), "c": nn.BatchNorm2d(13), "d": conv(13, 4)}, _concat,
        {"a": (1, 2), "b": (3,)}, {"a": (3, 4), "b": (4, 3), "d": (10, 4)},
    ),
    "groups": _two(
        lambda: conv(6, 6, groups=2, bias=None), zero={"a": (0, 1, 4)}, left={"a": (3, 4), "b": (4, 6)}
    ),
    "a whole group": _case(
        lambda: {"a": conv(3, 6, 3), "g": nn.Conv2d(6, 6, 3, groups=3), "b": conv(6, 4)},
        lambda m, x: m["b"](F.relu(m["g"](F.relu(m["a"](x))))), {"g": (2, 3)}, {"a": (3, 4), "g": (4, 4), "b": (4, 4)},
    ),
    "shuffle": _case(
        lambda: {"a": conv(3, 8, 3), "b": conv(8, 4)}, _shuffle, {"a": (0, 1, 6)}, {"a": (3, 5), "b": (5, 4)}
    ),
    "one window": _case(
        lambda: {"a": conv(3, 6), "b": conv(6, 4)}, _one_window, {"a": (1, 4)}, {"a": (3, 4), "b": (4, 4)}
    ),
    "rows of channels last": _case(
        lambda: {"a": conv(3, 6), "b": conv(6, 4)}, _rows, {"a": (1, 4)}, {"a": (3, 6)}, shape=(2, 3, 6, 5)
    ),
    "excited": _case(
        lambda: {"a": conv(3, 6, 3, bias=-1), "down": conv(6, 3), "up": conv(3, 6), "b": conv(6, 4)}, _excited,
        {"a": (0, 5), "down": (1,)}, {"a": (3, 4), "down": (4, 2), "up": (2, 4), "b": (4, 4)},
    ),
    "instance norm": _two(
        lambda: conv(6, 4), lambda y: F.relu(F.instance_norm(y)), zero={"a": (1,)}, left={"a": (3, 6)}
    ),
    "result": _case(
        lambda: {"a": conv(3, 6), "b": conv(6, 4)}, lambda m, x: (y := m["a"](x), m["b"](y)),
        {"a": (1,), "b": (2,)}, {"a": (3, 6), "b": (6, 4)},
    ),
    "softmax": _two(lambda: conv(6, 4), lambda y: y.softmax(1), zero={"a": (1,)}, left={"a": (3, 6), "b": (6, 4)}),
    "unread": _two(lambda: conv(6, 4, 3), unread={"b": (0, 3)}, left={"a": (3, 4), "b": (4, 4)}),
    "read by another": _case(
        lambda: {"a": conv(3, 6), "b": conv(6, 4), "c": conv(6, 4)},
        lambda m, x: m["b"](y := m["a"](x)) + m["c"](y), left={"a": (3, 5), "b": (5, 4)},
        unread={"b": (0, 3), "c": (3, 4)},
    ),
    "through and through": _case(
        lambda: {"a": conv(3, 6, 3), "b": conv(6, 6, 3), "c": conv(6, 4)},
        lambda m, x: m["c"](F.relu(m["b"](F.relu(m["a"](x))))), left={"a": (3, 3), "b": (3, 1)},
        unread={"c": range(1, 6), "b": range(3)},
    ),
    "batch norm": _case(
        lambda: {"a": normed(3, 8), "b": normed(8, 8), "c": normed(8, 4, 1)},
        lambda m, x: m["c"](F.relu(m["b"](F.relu(m["a"](x))))), {"a": range(4), "b": range(2, 8)},
        {"a": (3, 5), "b": (5, 2), "c": (2, 4)},
    ),
    "whole": _two(lambda: conv(6, 4, 3), left={"a": (3, 6), "b": (6, 4)}),
}  # fmt: skip
