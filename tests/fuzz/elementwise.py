"""Steps without weights that compute: activations, arithmetic, comparisons, reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from fuzz.network import Maker, Step, pick

_ACTIVATIONS: list[Callable[[], nn.Module]] = [
    nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.PReLU, nn.LeakyReLU, nn.Hardsigmoid, nn.Tanh, nn.GELU,
    nn.Mish, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.Hardtanh, nn.Softsign, nn.Tanhshrink,
    nn.Hardshrink, nn.Softshrink, lambda: nn.GELU("tanh"), lambda: nn.ReLU(inplace=True),
    lambda: nn.Threshold(0.1, 0.2), lambda: nn.GLU(-1), lambda: nn.Softmin(-1), lambda: nn.Dropout(0.5), nn.Identity,
]  # fmt: skip

_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "abs": torch.abs, "neg": torch.neg, "exp": lambda x: x.clamp(max=4).exp(), "log": lambda x: (x.abs() + 0.1).log(),
    "sqrt": lambda x: x.abs().sqrt(), "rsqrt": lambda x: (x.abs() + 0.1).rsqrt(), "square": torch.square,
    "reciprocal": lambda x: (x.abs() + 0.5).reciprocal(), "erf": torch.erf, "sin": torch.sin, "cos": torch.cos,
    "pow": lambda x: x.abs() ** 1.5, "cube": lambda x: x**3, "sign": torch.sign, "floor": lambda x: (x * 3.7).floor(),
    "round": lambda x: (x * 3.7).round(), "clamp": lambda x: x.clamp(-0.5, 0.7), "clamp min": lambda x: x.clamp(min=0),
    "one minus": lambda x: 1 - x, "half": lambda x: x / 2, "into": lambda x: 1 / (x.abs() + 1), "log1p":
    lambda x: x.abs().log1p(), "expm1": lambda x: x.clamp(max=4).expm1(), "atan": torch.atan, "trunc":
    lambda x: (x * 2.3).trunc(), "frac": lambda x: (x * 2.3).frac(), "remainder": lambda x: x.remainder(1.5),
    "where": lambda x: torch.where(x > 0, x, x * 0.1), "relu by mask": lambda x: x * (x > 0),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0.25), "float": lambda x: x.float(), "times integer": lambda x: x * 2,
    "isnan": lambda x: torch.where(x.isnan(), torch.zeros_like(x), x), "nan_to_num": lambda x: x.nan_to_num(),
    "lerp": lambda x: torch.lerp(x, x * x, 0.3), "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5),
}  # fmt: skip

_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add, "add alpha": lambda a, b: torch.add(a, b, alpha=0.5), "sub": torch.sub, "mul": torch.mul,
    "div": lambda a, b: a / (b.abs() + 0.5), "maximum": torch.maximum, "minimum": torch.minimum,
    "rsub": lambda a, b: torch.rsub(a, b, alpha=2), "where": lambda a, b: torch.where(a > b, a, b),
    "add relu": lambda a, b: F.relu(a + b), "atan2": lambda a, b: torch.atan2(a, b + 3),
    "gate": lambda a, b: a * b.sigmoid(), "hypot": torch.hypot,
}  # fmt: skip

_REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "mean": torch.mean, "sum": lambda x, axis, keepdim: x.sum(axis, keepdim) / 8, "amax": torch.amax,
    "amin": torch.amin, "std": lambda x, axis, keepdim: x.std(axis, keepdim=keepdim, correction=0),
    "var": lambda x, axis, keepdim: x.var(axis, keepdim=keepdim, correction=0), "logsumexp": torch.logsumexp,
    "norm": lambda x, axis, keepdim: torch.linalg.vector_norm(x, 2, axis, keepdim),
    "norm 1": lambda x, axis, keepdim: torch.linalg.vector_norm(x, 1, axis, keepdim) / 8,
}  # fmt: skip


def activation(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A module of PyTorch."""
    module = random.choice(_ACTIVATIONS)().eval()
    return Step(str(module), module, (source,))


def unary(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A function of one tensor."""
    name = pick(random, _UNARY)
    return Step(name, _UNARY[name], (source,))


def binary(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A function of two tensors that broadcast, or of one and a constant."""
    name, shape = pick(random, _BINARY), values[source].shape
    if random.random() < 0.2:
        constant = torch.randn([random.choice([1, extent]) for extent in shape[random.randint(0, len(shape)) :]])
        return Step(f"{name} {tuple(constant.shape)}", lambda x: _BINARY[name](x, constant), (source,))
    others = [i for i, other in enumerate(values) if _broadcasts(shape, other.shape)]
    pair = [source, random.choice(others)]
    random.shuffle(pair)
    return Step(name, _BINARY[name], (pair[0], pair[1]))


def reduction(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """A reduction over some axes."""
    rank = values[source].dim()
    name, keepdim = pick(random, _REDUCTIONS), random.choice([True, False])
    axes = random.sample(range(rank), random.randint(1, rank)) if rank else []
    axes = [axis - random.choice([0, rank]) for axis in axes]
    return Step(f"{name} {axes} {keepdim}", lambda x: _REDUCTIONS[name](x, axes, keepdim), (source,))


def along(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """Functions along one axis."""
    rank = values[source].dim()
    axis = random.randrange(-rank, rank) if rank else 0
    forms: dict[str, Callable[[Tensor], Tensor]] = {
        "softmax": lambda x: x.softmax(axis),
        "log_softmax": lambda x: x.log_softmax(axis),
        "normalize": lambda x: F.normalize(x, dim=axis),
        "cumsum": lambda x: x.cumsum(axis) / 4,
        "max": lambda x: x.max(axis, keepdim=True).values,
        "min": lambda x: x.min(axis).values,
        "mean centred": lambda x: x - x.mean(axis, keepdim=True),
        "argmax": lambda x: x.argmax(axis).float(),
        "sort": lambda x: x.sort(axis).values,
        "topk": lambda x: x.topk(1, axis).values,
        "prod": lambda x: x.clamp(-1, 1).prod(axis),
    }
    name = pick(random, forms)
    return Step(f"{name} {axis}", forms[name], (source,))


def _broadcasts(a: Sequence[int], b: Sequence[int]) -> bool:
    return all(x == y or 1 in (x, y) for x, y in zip(reversed(a), reversed(b), strict=False))


MAKERS: list[tuple[Maker, int]] = [(activation, 8), (unary, 6), (binary, 8), (reduction, 4), (along, 4)]
