"""Layers drawn by chance, none of which is in a network of the benchmark."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from nets import NETS, impose_1xn
from nets.weights import randomise
from torch import nn

from bench.cells.grid import NETWORKS
from bench.studies.kernels import kernels_of
from sparsecc.options import Options
from sparsecc.target import Target
from sparsecc.tuning.tasks import KernelTask

_CHANNELS = (8, 16, 24, 32, 40, 48, 64, 72, 80, 96, 112, 128, 144, 160, 192, 240, 256, 320, 384, 512, 640, 768, 1024)
_SIZES = (5, 7, 8, 9, 10, 12, 13, 14, 16, 17, 19, 20, 24, 28, 32, 38, 40, 48, 56, 64, 80, 96, 112)
_LEAST_MACS, _MOST_MACS, _MOST_WEIGHTS = 500_000, 200_000_000, 1 << 20
#: by chance, of 1: depthwise, dense, strided, dilated, grouped; the rest is none of these
_DEPTHWISE, _DENSE, _STRIDED, _DILATED, _GROUPED = 0.08, 0.4, 0.2, 0.1, 0.1
#: predicted speed-up that suffices: what was drawn sparse is measured sparse
_ALWAYS = 1e-9


@dataclass(frozen=True)
class Drawn:
    """A convolution.

    Attributes
    ----------
    ic, oc, kernel, size, stride, dilation, groups : int
        Its shape; ``size`` is the width and height of its input.
    block_n : int
        Output channels of a block; 1 for a dense layer.
    density : float
        Share of blocks that are kept.
    reader : int
        Kernel of the convolution that reads the result, 0 where the caller does: it decides about gaps in the output.
    """

    ic: int
    oc: int
    kernel: int
    size: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    block_n: int = 1
    density: float = 1.0
    reader: int = 0

    @property
    def is_dense(self) -> bool:
        """True when every block is kept."""
        return self.density == 1.0

    @property
    def is_depthwise(self) -> bool:
        """True when every channel is a group."""
        return self.groups == self.ic == self.oc

    @property
    def padding(self) -> int:
        """Zeros on each side, such that the size stays where the stride is 1."""
        return self.kernel // 2 * self.dilation

    @property
    def out(self) -> int:
        """Width and height of the output."""
        return (self.size + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    @property
    def weights(self) -> int:
        """Weights before pruning."""
        return self.oc * self.ic // self.groups * self.kernel**2

    def __str__(self) -> str:
        extras = [f"{name} {value}" for name, value in self._extras().items() if value != 1]
        pattern = "dense" if self.is_dense else f"1x{self.block_n} {100 * (1 - self.density):.0f} %"
        shape = f"{self.kernel}x{self.kernel} {self.ic}->{self.oc} @{self.size}"
        return ", ".join([shape, *extras, pattern, *([f"read {self.reader}x{self.reader}"] if self.reader else [])])

    def _extras(self) -> dict[str, int]:
        return {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}

    def model(self, seed: int) -> nn.Module:
        """The layer with random, pruned weights, an activation, and its reader."""
        torch.manual_seed(seed)
        conv = nn.Conv2d(
            self.ic, self.oc, self.kernel, self.stride, self.padding, dilation=self.dilation, groups=self.groups
        )
        layers: list[nn.Module] = [conv, nn.ReLU()]
        if self.reader:
            layers.append(nn.Conv2d(self.oc, 8, self.reader, padding=self.reader // 2))
        model = nn.Sequential(*layers)
        randomise(model)
        if not self.is_dense:
            impose_1xn(model, self.block_n, 1 - self.density, include=["0"], seed=seed)
        return model.eval()

    def task(self, target: Target, *, seed: int = 0) -> KernelTask:
        """The layer's kernel, without Winograd's algorithm."""
        options = Options(winograd=False, min_speedup=_ALWAYS, schedules=None)
        return kernels_of(self.model(seed), target, options, channels=self.ic, size=self.size)[0]


def draw(count: int, *, seed: int) -> list[Drawn]:
    """The first ``count`` layers of a seed."""
    layers = _layers(random.Random(seed))
    return [next(layers) for _ in range(count)]


def _layers(dice: random.Random) -> Iterator[Drawn]:
    seen = set(_known())
    while True:
        layer = _any(dice)
        macs = layer.weights * layer.out**2
        shape = _shape(layer)
        if shape in seen or not _LEAST_MACS <= macs <= _MOST_MACS or layer.weights > _MOST_WEIGHTS or layer.out < 5:
            continue
        seen.add(shape)
        yield layer


def _any(dice: random.Random) -> Drawn:
    """A layer that may be too large, too small, or known."""
    size, ic, oc = dice.choice(_SIZES), dice.choice(_CHANNELS), dice.choice(_CHANNELS)
    reader = dice.choice((0, 1, 3))
    if dice.random() < _DEPTHWISE:
        kernel, stride = dice.choice((3, 3, 5)), dice.choice((1, 1, 2))
        return Drawn(ic, ic, kernel, size, stride, groups=ic, reader=reader)
    kernel = dice.choice((1, 1, 1, 1, 3, 3, 3, 3, 5))
    stride = 2 if dice.random() < _STRIDED else 1
    dilation = 2 if kernel > 1 and stride == 1 and dice.random() < _DILATED else 1
    groups = dice.choice((2, 4)) if dice.random() < _GROUPED else 1
    if dice.random() < _DENSE:
        return Drawn(ic, oc, kernel, size, stride, dilation, groups, reader=reader)
    n = dice.choice([n for n in (4, 8, 16) if oc // groups % n == 0] or [1])
    density = 1.0 if n == 1 else dice.choice((0.5, 0.25, 0.1))
    return Drawn(ic, oc, kernel, size, stride, dilation, groups, n, density, reader)


def _shape(layer: Drawn) -> tuple[int, ...]:
    return (layer.ic, layer.oc, layer.kernel, layer.size, layer.stride, layer.groups)


@functools.cache
def _known() -> frozenset[tuple[int, ...]]:
    """Shapes of the networks' convolutions."""
    found: set[tuple[int, ...]] = set()

    def note(conv: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(conv, nn.Conv2d)
        size, stride = int(inputs[0].shape[2]), conv.stride[0]
        found.add((conv.in_channels, conv.out_channels, conv.kernel_size[0], size, stride, conv.groups))

    for name in NETWORKS:
        with torch.device("meta"):
            net = NETS[name]().eval()
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(note)
        with torch.no_grad():
            net(torch.zeros(1, 3, 224, 224, device="meta"))
    return frozenset(found)
