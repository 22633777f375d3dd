"""Networks pruned by whole filters, and the smaller ones that somebody would build by hand in their place.

By hand means: a filter goes if it is zero and no sum needs its place; so does the channel of whoever reads it. What a
dead filter's constant adds to the layers after it is left out, which changes results and not times.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import nets
import torch
from nets.densenet import DenseLayer
from nets.layers import InvertedResidual
from nets.resnet import Residual, ResNet
from torch import Tensor, nn
from torch.nn.utils import prune

NAMES = ("resnet18", "mobilenet_v2", "densenet121")


def structured(name: str, amount: float, *, smallest: bool, shift: bool, width: float = 1.0) -> nn.Module:
    """A network without a share of each convolution's filters but the first one's.

    Parameters
    ----------
    smallest : bool
        Those of the smallest Euclidean norm; else random ones.
    shift : bool
        Whether batch norms have a bias and a mean: else a dead filter's channel is zero.
    """
    model = nets.build(name, width=width)
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not shift:
            module.bias.data.zero_()
            module.running_mean.zero_()
        if isinstance(module, nn.Conv2d) and module.in_channels > 3:
            if smallest:
                prune.ln_structured(module, "weight", amount=amount, n=2, dim=0)
            else:
                prune.random_structured(module, "weight", amount=amount, dim=0)
            prune.remove(module, "weight")
    return model


def smaller(model: nn.Module) -> nn.Module:
    """The network built by hand."""
    made = copy.deepcopy(model)
    if isinstance(made, ResNet):
        _resnet(made)
    elif any(isinstance(part, InvertedResidual) for part in made.modules()):
        _mobilenet(made)
    else:
        _densenet(made)
    return made.eval()


def _resnet(model: ResNet) -> None:
    kept = torch.arange(model.stem[0].out_channels)
    for stage in model.stages:
        blocks: list[Residual] = list(stage)
        sums = [block.body[1] for block in blocks]
        first = blocks[0].shortcut
        entry = kept if isinstance(first, nn.Identity) else None
        alive = torch.stack([_alive(part[0]) for part in [*sums, *([] if entry is not None else [first])]]).any(0)
        after = entry if entry is not None else alive.nonzero().flatten()
        for i, block in enumerate(blocks):
            before = kept if i == 0 else after
            inner = _alive(block.body[0][0]).nonzero().flatten()
            _cut(block.body[0], before, inner)
            _cut(block.body[1], inner, after)
            if i == 0 and entry is None:
                _cut(first, before, after)
        kept = after
    _cut_linear(model.classifier, kept)


def _mobilenet(model: nn.Module) -> None:
    parts = list(model)
    kept = torch.arange(parts[0][0].out_channels)
    stages = _stages([part for part in parts if isinstance(part, InvertedResidual)])
    for blocks in stages:
        after = torch.stack([_alive(block.body[-1][0]) for block in blocks]).any(0).nonzero().flatten()
        for i, block in enumerate(blocks):
            before, (*expand, depthwise, project) = kept if i == 0 else after, block.body
            inner = _alive(depthwise[0])
            if expand:
                inner = (inner & _alive(expand[0][0])).nonzero().flatten()
                _cut(expand[0], before, inner)
            else:
                before_alive = torch.zeros_like(inner)
                before_alive[before] = True
                inner = (inner & before_alive).nonzero().flatten()
                _cut(parts[0], None, inner)
            _cut(depthwise, None, inner)
            _cut(project, inner, after)
        kept = after
    last = next(part for part in parts[::-1] if isinstance(part, nn.Sequential))
    alive = _alive(last[0]).nonzero().flatten()
    _cut(last, kept, alive)
    _cut_linear(parts[-1], alive)


def _stages(blocks: Sequence[InvertedResidual]) -> list[list[InvertedResidual]]:
    """Blocks whose results are summed."""
    found: list[list[InvertedResidual]] = []
    for block in blocks:
        if block.shortcut and found:
            found[-1].append(block)
        else:
            found.append([block])
    return found


def _densenet(model: nn.Module) -> None:
    parts = list(model)
    kept = torch.arange(parts[0][0].out_channels)
    for part in parts[1:]:
        if isinstance(part, DenseLayer):
            count = part.reduce[0].num_features
            inner = _alive(part.reduce[2]).nonzero().flatten()
            grown = _alive(part.grow[2]).nonzero().flatten()
            _cut_norm(part.reduce[0], kept)
            _cut_conv(part.reduce[2], kept, inner)
            _cut_norm(part.grow[0], inner)
            _cut_conv(part.grow[2], inner, grown)
            kept = torch.cat([kept, grown + count])
        elif isinstance(part, nn.Sequential):
            alive = _alive(part[2]).nonzero().flatten()
            _cut_norm(part[0], kept)
            _cut_conv(part[2], kept, alive)
            kept = alive
        elif isinstance(part, nn.BatchNorm2d):
            _cut_norm(part, kept)
        elif isinstance(part, nn.Linear):
            _cut_linear(part, kept)


def _alive(conv: nn.Conv2d) -> Tensor:
    return conv.weight.detach().flatten(1).ne(0).any(1)


def _cut(layer: nn.Sequential, inputs: Tensor | None, outputs: Tensor) -> None:
    """A convolution and its batch norm."""
    _cut_conv(layer[0], inputs, outputs)
    _cut_norm(layer[1], outputs)


def _cut_conv(conv: nn.Conv2d, inputs: Tensor | None, outputs: Tensor) -> None:
    """``inputs`` None: all of them, or those of a depthwise convolution's outputs."""
    weight = conv.weight.data[outputs]
    if conv.groups > 1:
        conv.groups = conv.in_channels = len(outputs)
    elif inputs is not None:
        weight, conv.in_channels = weight[:, inputs], len(inputs)
    conv.weight = nn.Parameter(weight.clone())
    conv.out_channels = len(outputs)


def _cut_norm(norm: nn.BatchNorm2d, kept: Tensor) -> None:
    norm.num_features = len(kept)
    for name in ("weight", "bias"):
        setattr(norm, name, nn.Parameter(getattr(norm, name).data[kept].clone()))
    for name in ("running_mean", "running_var"):
        setattr(norm, name, getattr(norm, name)[kept].clone())


def _cut_linear(linear: nn.Linear, kept: Tensor) -> None:
    linear.weight = nn.Parameter(linear.weight.data[:, kept].clone())
    linear.in_features = len(kept)
