"""Networks put together at random: what no one would write by hand, but someone's model will contain."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import nets
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Shape = tuple[int, ...]
Step = tuple[nn.Module, list[int]]

ACTIVATIONS: list[Callable[[], nn.Module]] = [
    nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Identity, nn.PReLU, nn.LeakyReLU, nn.Identity,
]  # fmt: skip


class Apply(nn.Module):
    """A function without weights as a step."""

    def __init__(self, name: str, compute: Callable[..., Tensor]) -> None:
        super().__init__()
        self.name, self.compute = name, compute

    def forward(self, *inputs: Tensor) -> Tensor:
        """Apply it."""
        return self.compute(*inputs)

    def extra_repr(self) -> str:
        """Its name."""
        return self.name


class RandomNet(nn.Module):
    """Steps over numbered tensors, the first of which is the input.

    Every step takes one or two earlier tensors at random, so results are used several times, in several ways, or not
    at all; the last one and up to two others are outputs.
    """

    def __init__(self, seed: int, *, steps: int) -> None:
        super().__init__()
        self.random = Random(seed)
        self.steps = nn.ModuleList()
        self.sources: list[list[int]] = []
        n, c = self.random.choice([1, 1, 2]), self.random.choice([3, 8, 16])
        self.shapes: list[Shape] = [(n, c, self.random.randint(1, 20), self.random.randint(1, 20))]
        while len(self.shapes) <= steps:
            self._add_step()
        others = self.random.sample(range(len(self.shapes)), 2)
        self.results = [len(self.shapes) - 1, *others[: self.random.randint(0, 2)]]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Run all steps."""
        values = [x]
        for step, sources in zip(self.steps, self.sources, strict=True):
            values.append(step(*(values[source] for source in sources)))
        return [values[result] for result in self.results]

    def __str__(self) -> str:
        steps = zip(self.steps, self.sources, self.shapes[1:], strict=True)
        lines = [f"t{i + 1} {list(shape)} = {m}{sources}" for i, (m, sources, shape) in enumerate(steps)]
        return "\n".join([f"t0 {list(self.shapes[0])}", *lines, f"results {self.results}"])

    def _add_step(self) -> None:
        # later tensors more often, so that the network gets deep
        source = max(self.random.randrange(len(self.shapes)) for _ in range(2))
        makers = [self._conv] * 4 + [self._pool] + [self._join] * 2 + [self._move]
        step, sources = self.random.choice(makers)(source)
        with torch.no_grad():
            shape = tuple(step.eval()(*(torch.zeros(self.shapes[s]) for s in sources)).shape)
        if 0 in shape or max(shape[2:]) > 48 or shape[1] > 64:
            return
        self.steps.append(step)
        self.sources.append(sources)
        self.shapes.append(shape)

    def _conv(self, source: int) -> Step:
        choice, ic, size = self.random.choice, self.shapes[source][1], self.shapes[source][2:]
        kernel = tuple(choice([1, 1, 2, 3, 3, 5]) for _ in size)
        dilation = choice([1, 1, 1, 2])
        padding = tuple(choice([0, k // 2, k // 2, k // 2, k]) for k in kernel)
        reach = [dilation * (k - 1) + 1 for k in kernel]
        padding = tuple(max(p, -(-(r - s) // 2), 0) for p, r, s in zip(padding, reach, size, strict=True))
        stride = tuple(choice([1, 1, 1, 2, 3]) for _ in size)
        groups = choice([1, 1, 1, ic, 2 if ic % 2 == 0 else 1])
        oc = groups * choice([1, 2] if groups == ic else [3, 4, 8])
        conv = nn.Conv2d(ic, oc, kernel, stride, padding, dilation, groups, bias=choice([True, False]))
        if groups == 1 and choice([True, False]):
            nets.impose_1xn(nn.Sequential(conv), choice([1, 2, 4]), 0.6, include=["0"], rearrange=choice([True, False]))
        norm = choice([nn.BatchNorm2d(oc), nn.Identity()])
        return nn.Sequential(conv, norm, choice(ACTIVATIONS)()), [source]

    def _pool(self, source: int) -> Step:
        choice, size = self.random.choice, self.shapes[source][2:]
        kernel = min(choice([2, 3, 5]), *size)
        stride, padding, ceil = choice([1, 2, 3]), choice([0, kernel // 2]), choice([True, False])
        pools = [
            nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil),
            nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil, count_include_pad=choice([True, False])),
            nn.AdaptiveAvgPool2d(choice([1, 2, 3])),
        ]
        return choice(pools), [source]

    def _join(self, source: int) -> Step:
        shape, choice = self.shapes[source], self.random.choice
        alike = [i for i, other in enumerate(self.shapes) if other == shape]
        beside = [i for i, other in enumerate(self.shapes) if (other[0], *other[2:]) == (shape[0], *shape[2:])]
        gates = [i for i, other in enumerate(self.shapes) if other == (*shape[:2], 1, 1)]
        step, others = choice(
            [
                (Apply("add", torch.add), alike),
                (Apply("add_relu", lambda a, b: F.relu(a + b)), alike),
                (Apply("mul", torch.mul), alike + gates),
                (Apply("cat", lambda a, b: torch.cat([a, b], 1)), beside),
                (Apply("sub", torch.sub), alike + gates),
            ]
        )
        return step, [source, choice(others)]

    def _move(self, source: int) -> Step:
        c, h, w = self.shapes[source][1:]
        folds = 2 if c % 2 == 0 else 1
        moves = [
            Apply("nearest", lambda x: F.interpolate(x, scale_factor=2)),
            Apply("bilinear", lambda x: F.interpolate(x, size=(h + 1, 2 * w), mode="bilinear")),
            Apply("pad", lambda x: F.pad(x, (1, 0, 2, 1))),
            Apply("crop", lambda x: x[:, :, h // 2 :, : w // 2 + 1]),
            Apply("half", lambda x: x.chunk(2, 1)[0]),
            Apply("shuffle", lambda x: x.unflatten(1, (folds, -1)).transpose(1, 2).flatten(1, 2)),
            Apply("transpose", lambda x: x.transpose(2, 3)),
            Apply("softmax", lambda x: x.softmax(1)),
            Apply("gate", lambda x: x * x.mean((2, 3), keepdim=True).sigmoid()),
            Apply("flat", lambda x: x.flatten(1).reshape(x.shape) * 2),
            Apply("negative", lambda x: -x - 1),
            nn.ConvTranspose2d(c, self.random.choice([4, 8]), 2, 2),
            nn.ConvTranspose2d(c, 4, 3, self.random.choice([1, 2]), 1, bias=False),
        ]
        return self.random.choice(moves), [source]


def random_net(seed: int, *, steps: int) -> RandomNet:
    """A network in evaluation mode with seeded weights and batch norms that do something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = RandomNet(seed, steps=steps).eval()
        for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return net
