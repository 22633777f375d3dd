"""Networks whose channels may, or may not, become neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import nets
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sparsecc.analyse.plan import LayerInfo, Plan, make_plan
from sparsecc.importer import Imported
from sparsecc.ir.layer import ConvLayer


class Net(nn.Module):
    """Named layers and what is done with them."""

    def __init__(self, compute: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.compute = compute
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        return self.compute(self, x)


def conv(ic: int, oc: int, size: int = 3, **options: int) -> nn.Conv2d:
    """A convolution that keeps the size of images."""
    return nn.Conv2d(ic, oc, size, padding=size // 2, **options)


def norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm that does something."""
    made = nn.BatchNorm2d(channels)
    made.running_mean.normal_()
    made.running_var.uniform_(0.5, 2)
    nn.init.normal_(made.weight)
    return made


def attention(net: Net, x: Tensor) -> Tensor:
    y = net.a(x)
    return net.head(y * net.e(F.relu(net.s(F.adaptive_avg_pool2d(y, 1)))).sigmoid())


def inverted(net: Net, x: Tensor) -> Tensor:
    """As ConvNeXt does: channels last between two linear layers."""
    y = net.a(x)
    z = net.depthwise(y).permute(0, 2, 3, 1) * net.norm.weight + net.norm.bias
    return net.head(y + net.second(F.gelu(net.first(z))).permute(0, 3, 1, 2))


#: name -> what computes, its layers, those that become neighbours; single letters are pruned in rows of scattered
#: channels, the head is not
CASES: Mapping[str, tuple[Callable[..., Tensor], dict[str, Callable[[], nn.Module]], str]] = {
    "chain": (lambda m, x: m.head(F.relu(m.b(F.relu(m.a(x))))), {"a": lambda: conv(8, 16), "b": lambda: conv(16, 24, 1),
              "head": lambda: conv(24, 4)}, "ab"),
    "output": (lambda m, x: m.b(m.a(x)), {"a": lambda: conv(8, 16), "b": lambda: conv(16, 16)}, "a"),
    "depthwise": (
        lambda m, x: m.head(m.b(F.relu6(m.norm(m.deep(F.max_pool2d(m.a(x), 3, 2, 1)))))),
        {"a": lambda: conv(8, 16), "deep": lambda: conv(16, 16, groups=16), "norm": lambda: norm(16),
         "b": lambda: conv(16, 16, 1), "head": lambda: conv(16, 4)}, "ab"),
    "residual": (
        lambda m, x: m.head((y := F.relu(m.a(x))) + m.b(y)),
        {"a": lambda: conv(8, 16), "b": lambda: conv(16, 16), "head": lambda: conv(16, 4)}, "a"),
    "most pixels win": (
        lambda m, x: m.head(m.b(F.avg_pool2d(x, 2)) + F.max_pool2d(m.a(x), 2)),
        {"b": lambda: conv(8, 16), "a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "concat": (
        lambda m, x: m.head(m.c(torch.cat([m.a(x), x, m.b(x)], 1))),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 12), "c": lambda: conv(36, 16, 1),
         "head": lambda: conv(16, 4)}, "abc"),
    "concat twice": (
        lambda m, x: m.head(F.silu(torch.cat([y := m.a(x), torch.cat([m.b(x), y], 1)], 1))),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 12), "head": lambda: conv(44, 4)}, "ab"),
    "concat and sum": (
        lambda m, x: m.head(torch.cat([m.a(x), m.b(x)], 1) + m.c(x)),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 8), "c": lambda: conv(8, 24), "head": lambda: conv(24, 4)}, ""),
    "concat of rows": (
        lambda m, x: m.head(torch.cat([m.a(x), m.b(x[:, :, :3])], 2)),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "flatten": (
        lambda m, x: m.head(F.relu(m.b(F.relu(m.a(x)).flatten(1)))),
        {"a": lambda: conv(8, 16), "b": lambda: nn.Linear(16 * 42, 32), "head": lambda: nn.Linear(32, 4)}, "ab"),
    "mean": (
        lambda m, x: m.head(F.relu(m.b(m.a(x).mean((2, 3))))),
        {"a": lambda: conv(8, 16), "b": lambda: nn.Linear(16, 32), "head": lambda: nn.Linear(32, 4)}, "ab"),
    "groups": (
        lambda m, x: m.head(m.b(m.a(x))),
        {"a": lambda: conv(8, 16), "b": lambda: conv(16, 16, groups=2), "head": lambda: conv(16, 4)}, ""),
    "depthwise with two outputs a channel": (
        lambda m, x: m.head(m.deep(m.a(x))),
        {"a": lambda: conv(8, 16), "deep": lambda: conv(16, 32, groups=16), "head": lambda: conv(32, 4)}, ""),
    "read twice": (
        lambda m, x: m.head(torch.cat([m.b(y := m.a(x)), m.c(y)], 1)),
        {"a": lambda: conv(8, 16), "b": lambda: conv(16, 16), "c": lambda: conv(16, 8, 1),
         "head": lambda: conv(24, 4)}, "abc"),
    "used twice": (
        lambda m, x: m.head(m.a(F.relu(m.a(x)))), {"a": lambda: conv(8, 8), "head": lambda: conv(8, 4)}, "a"),
    "with the input": (lambda m, x: m.head(m.a(x) * x), {"a": lambda: conv(8, 8), "head": lambda: conv(8, 4)}, ""),
    "softmax": (
        lambda m, x: m.head(m.a(x).softmax(1)), {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "mean of channels": (
        lambda m, x: m.head((y := m.a(x)) * y.mean(1, keepdim=True)),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "first channels": (
        lambda m, x: m.head(m.a(x)[:, :8]), {"a": lambda: conv(8, 16), "head": lambda: conv(8, 4)}, ""),
    "last channels": (
        lambda m, x: m.head(m.a(x).chunk(2, 1)[1]), {"a": lambda: conv(8, 16), "head": lambda: conv(8, 4)}, ""),
    "one channel": (
        lambda m, x: m.head((y := m.a(x)) * y[:, 3:4]), {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, ""),
    "more channels": (
        lambda m, x: m.head(F.pad(m.a(x), (0, 0, 0, 0, 2, 2))),
        {"a": lambda: conv(8, 16), "head": lambda: conv(20, 4)}, ""),
    "channels by index": (
        lambda m, x: m.head(m.a(x)[:, [3, 0, 5, 5, 9, 12, 1, 15]]),
        {"a": lambda: conv(8, 16), "head": lambda: conv(8, 4)}, ""),
    "channels copied": (
        lambda m, x: m.head(torch.slice_scatter(y := m.a(x), y[:, 2:6], 1, 8, 12)),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, ""),
    "channels overwritten": (
        lambda m, x: m.head(torch.slice_scatter(y := m.a(x), torch.ones_like(y[:, :4]), 1, 3, 11, 2)),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "pixels overwritten": (
        lambda m, x: m.head(torch.where((y := m.a(x).index_fill(3, torch.tensor([0, 2]), 0.5)) > 0, y, -y)),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "pixel shuffle": (
        lambda m, x: m.head(F.pixel_shuffle(m.a(x), 2)), {"a": lambda: conv(8, 16), "head": lambda: conv(4, 4)}, ""),
    "channel shuffle": (
        lambda m, x: m.head(m.a(x).unflatten(1, (2, 8)).transpose(1, 2).flatten(1, 2)),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, ""),
    "channels become rows": (
        lambda m, x: m.head(m.a(x).transpose(1, 2)), {"a": lambda: conv(8, 16), "head": lambda: conv(6, 4)}, ""),
    "constants": (
        lambda m, x: m.head(m.prelu(m.norm(torch.cat([m.a(x), m.b(x)], 1)))),
        {"a": lambda: conv(8, 16), "b": lambda: conv(8, 8), "norm": lambda: norm(24),
         "prelu": lambda: nn.PReLU(24), "head": lambda: conv(24, 4)}, "ab"),
    "attention": (attention, {"a": lambda: conv(8, 16), "s": lambda: conv(16, 8, 1), "e": lambda: conv(8, 16, 1),
                  "head": lambda: conv(16, 4)}, "as"),
    "pixels": (
        lambda m, x: m.head(F.pad(F.interpolate(m.a(x), scale_factor=2, mode="bilinear"), (1, 0, 2, 1))[:, :, 1:]),
        {"a": lambda: conv(8, 16), "head": lambda: conv(16, 4)}, "a"),
    "channels last": (
        inverted, {"a": lambda: conv(8, 16), "depthwise": lambda: conv(16, 16, groups=16),
                   "norm": lambda: norm(16), "first": lambda: nn.Linear(16, 32),
                   "second": lambda: nn.Linear(32, 16), "head": lambda: conv(16, 4)}, "a"),
    "short row": (
        lambda m, x: m.head(m.a(x)), {"a": lambda: conv(8, 18), "head": lambda: conv(18, 4)}, "a"),
}  # fmt: skip


def build(name: str) -> Net:
    """A case's network, its layers with names of one letter pruned."""
    compute, layers, _ = CASES[name]
    torch.manual_seed(0)
    with torch.no_grad():
        model = Net(compute, **{key: make() for key, make in layers.items()}).eval()
    nets.impose_1xn(model, 4, 0.5, rearrange=True, include=[key for key in layers if len(key) == 1])
    return model


def plan_of(imported: Imported) -> Plan:
    """Every layer that has zero blocks is sparse."""
    layers = [layer for layer in imported.layers.values() if isinstance(layer, ConvLayer)]
    infos = [LayerInfo(layer.key, layer.name, layer.spec, layer.weight) for layer in layers]
    return make_plan(infos, min_speedup=1e-9)
