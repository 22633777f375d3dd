"""Steps that move numbers about, and those that write into tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from fuzz.network import Maker, Step, pick


def move(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """Views and copies of one tensor."""
    x = values[source]
    rank = x.dim()
    axes = random.sample(range(rank), rank)
    a, b = (random.randrange(-rank, rank) if rank else 0 for _ in range(2))
    extent = x.shape[a] if rank else 1
    start, step = random.randrange(-extent, extent), random.choice([1, 1, 2, 3])
    order = [random.randrange(extent) for _ in range(random.randint(1, extent + 1))]
    index = torch.tensor(order)
    pads = [random.choice([0, 0, 1, 2, -1]) for _ in range(2 * random.randint(0, rank))]
    factor = random.choice([2, 3])
    forms: dict[str, Callable[[Tensor], Any]] = {
        "permute": lambda x: x.permute(axes),
        "transpose": lambda x: x.transpose(a, b),
        "flatten": lambda x: x.flatten(min(a % rank, b % rank), max(a % rank, b % rank)),
        "reshape": lambda x: x.reshape(-1, extent),
        "view": lambda x: x.contiguous().view(extent, -1),
        "unsqueeze": lambda x: x.unsqueeze(a),
        "squeeze": lambda x: x.squeeze(a),
        "squeeze all": lambda x: x.squeeze(),
        "unflatten": lambda x: x.unflatten(a, (factor, -1)),
        "slice": lambda x: x.narrow(a, 0, 1 + order[0]),
        "strided": lambda x: x.transpose(0, a)[start::step].transpose(0, a),
        "select": lambda x: x.select(a, start),
        "ellipsis": lambda x: x[..., start:],
        "none": lambda x: x[None, ..., None],
        "split": lambda x: x.split(factor, a),
        "chunk": lambda x: x.chunk(factor, a),
        "unbind": lambda x: x.unbind(a),
        "flip": lambda x: x.flip(a),
        "roll": lambda x: x.roll(start, a),
        "index_select": lambda x: x.index_select(a, index),
        "index": lambda x: x[index % x.shape[0]],
        "index list": lambda x: x[:, [0, -1, 0]],
        "gather": lambda x: x.gather(a, torch.zeros_like(x, dtype=torch.int64)),
        "take_along": lambda x: x.take_along_dim(index.reshape([-1 if i == a % rank else 1 for i in range(rank)]), a),
        "expand": lambda x: x.unsqueeze(0).expand(factor, *x.shape),
        "repeat": lambda x: x.repeat(*[1] * (rank - 1), factor),
        "tile": lambda x: x.tile((factor,)),
        "repeat_interleave": lambda x: x.repeat_interleave(factor, a),
        "pad": lambda x: F.pad(x, pads, value=0.5),
        "pad reflect": lambda x: F.pad(x, (1, 1), mode="reflect"),
        "pixel_shuffle": lambda x: F.pixel_shuffle(x, factor),
        "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, factor),
        "channel_shuffle": lambda x: F.channel_shuffle(x, factor),
        "nearest": lambda x: F.interpolate(x, scale_factor=factor),
        "nearest size": lambda x: F.interpolate(x, size=(5, 7)),
        "nearest fraction": lambda x: F.interpolate(x, scale_factor=1.7),
        "bilinear": lambda x: F.interpolate(x, size=(5, 7), mode="bilinear"),
        "bilinear corners": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
        "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
        "tril": torch.tril,
        "diagonal": lambda x: x.diagonal(),
        "unfold": lambda x: F.unfold(x, 2),
        "windows": lambda x: x.unfold(a, 1, 1),
        "movedim": lambda x: x.movedim(a, b),
        "meshgrid": lambda x: x + torch.arange(x.shape[-1]),
        "channels_last": lambda x: x.to(memory_format=torch.channels_last),
        "contiguous": lambda x: x.contiguous(memory_format=torch.channels_last),
        "clone": lambda x: x.clone(),
        "detach": lambda x: x.detach(),
        "new": lambda x: x + x.new_full((1,), 0.5) + torch.ones_like(x),
        "stack self": lambda x: torch.stack([x, x * 2], a),
    }  # fmt: skip
    name = pick(random, forms)
    return Step(f"{name} a={a} b={b} start={start} step={step} order={order} pads={pads} factor={factor} axes={axes}",
                forms[name], (source,))  # fmt: skip


def join(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """Several tensors side by side."""
    x = values[source]
    rank = x.dim()
    if not rank:
        return None
    axis = random.randrange(rank)
    near = [i for i, v in enumerate(values) if v.dim() == rank and _alike(v.shape, x.shape, axis)]
    chosen = [source, *(random.choice(near) for _ in range(random.randint(1, 2)))]
    if random.random() < 0.15:
        return Step(f"cat empty {axis}", lambda x: torch.cat([x, x.narrow(axis, 0, 0)], axis), (source,))
    if random.random() < 0.3 and all(values[i].shape == x.shape for i in chosen):
        return Step(f"stack {axis}", lambda *x: torch.stack(x, axis), tuple(chosen))
    return Step(f"cat {axis}", lambda *x: torch.cat(x, axis - rank), tuple(chosen))


def write(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """Writes into a copy, or into the tensor itself, through views."""
    x = values[source]
    rank = x.dim()
    if not rank:
        return None
    axis = random.randrange(rank)
    extent = x.shape[axis]
    start, end = sorted(random.sample(range(extent + 1), 2))
    own = random.random() < 0.3 and source >= 1  # the tensor itself: earlier results change
    index = torch.tensor([random.randrange(extent) for _ in range(2)])
    forms: dict[str, Callable[[Tensor], Any]] = {
        "assign": lambda v: v.__setitem__(slice(start, end), 0.5),
        "assign tensor": lambda v: v.__setitem__(slice(start, end), v[start:end].clone() * 2),
        "strided": lambda v: v.__setitem__(slice(start, None, 2), -0.25),
        "scale": lambda v: v[start:end].mul_(0.5),
        "add": lambda v: v[start:end].add_(1),
        "activate": lambda v: v[start:end].sigmoid_(),
        "chunk": lambda v: v.chunk(2)[0].mul_(2),
        "fill": lambda v: v[start].fill_(0.75),
        "zero": lambda v: v[start:end].zero_(),
        "clamp": lambda v: v[start:end].clamp_(-0.2, 0.3),
        "copy": lambda v: v[start].copy_(v[end - 1].clone()),
        "masked_fill": lambda v: v.masked_fill_(v < 0, 0.125),
        "mask": lambda v: v.__setitem__(v > 0.5, 0.5),
        "index": lambda v: v.__setitem__(index, 0.5),
        "index_add": lambda v: v.index_add_(0, index, torch.ones_like(v[:2])),
        "index_copy": lambda v: v.index_copy_(0, index[:1], torch.zeros_like(v[:1])),
        "index_fill": lambda v: v.index_fill_(0, index, 0.5),
        "scatter": lambda v: v.scatter_(0, torch.zeros_like(v, dtype=torch.int64)[:1], 0.5),
        "relu": lambda v: v.relu_(),
        "diagonal": lambda v: v.diagonal().fill_(0.1),
    }  # fmt: skip
    name = pick(random, forms)

    def compute(x: Tensor) -> Tensor:
        y = x if own else x.clone()
        forms[name](y.transpose(0, axis))
        return y if not own else y * 1

    return Step(f"write {name} axis={axis} {start}:{end} {index.tolist()} own={own}", compute, (source,))


def context(random: Random, values: Sequence[Tensor], source: int) -> Step | None:
    """An operator under one of PyTorch's switches."""
    contexts: dict[str, Callable[[], Any]] = {
        "enable_grad": torch.enable_grad,
        "no_grad": torch.no_grad,
        "autocast off": lambda: torch.autocast("cpu", enabled=False),
    }
    name = pick(random, contexts)

    def compute(x: Tensor) -> Tensor:
        with contexts[name]():
            return (x * 2).relu()

    return Step(name, compute, (source,))


def _alike(a: Sequence[int], b: Sequence[int], axis: int) -> bool:
    return all(x == y for i, (x, y) in enumerate(zip(a, b, strict=True)) if i != axis)


MAKERS: list[tuple[Maker, int]] = [(move, 10), (join, 4), (write, 6), (context, 1)]
