"""1xN block pruning in place: by norm over a layer (1xN), or equal counts in each row of blocks (SUBP)."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

Layer = nn.Conv2d | nn.Linear


def prunable_layers(model: nn.Module) -> list[str]:
    """Names of all Conv2d and Linear layers but the first convolution, depthwise ones and the last Linear."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Layer)}
    convs = [name for name, layer in layers.items() if isinstance(layer, nn.Conv2d)]
    linears = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
    depthwise = [name for name in convs if layers[name].groups == layers[name].in_channels > 1]
    skipped = {*convs[:1], *linears[-1:], *depthwise}
    return [name for name in layers if name not in skipped]


def _lowest(scores: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """True at the ``count`` lowest scores of each row; equal scores are picked at random."""
    shuffle = torch.randperm(scores.shape[1], generator=torch.Generator().manual_seed(seed))
    ranked = scores[:, shuffle].argsort(dim=1, stable=True)[:, :count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, shuffle[ranked], True)


def mask_1xn(
    weight: torch.Tensor,
    n: int,
    sparsity: float,
    *,
    groups: int = 1,
    uniform: bool = False,
    rearrange: bool = False,
    seed: int = 0,
) -> torch.Tensor:
    """Return the bool mask (oc, ic/groups), True where a block is kept, for one weight (oc, ic/groups, ...).

    A block's score is its L1 norm per output channel, so that a shorter last block of a group competes fairly.
    The arguments are those of `impose_1xn`.
    """
    oc, ic = weight.shape[:2]
    norms = weight.abs().reshape(groups, oc // groups, ic, -1).sum(3)
    per_group = oc // groups
    order = torch.arange(per_group).expand(groups, -1)
    if rearrange:
        order = norms.sum(2).argsort(dim=1, descending=True, stable=True)
    index = order.unsqueeze(2).expand(-1, -1, ic)

    rows = -(-per_group // n)
    padded = nn.functional.pad(norms.gather(1, index), (0, 0, 0, rows * n - per_group)).reshape(groups, rows, n, ic)
    sizes = torch.full((rows, 1), float(n))
    sizes[-1] = per_group - (rows - 1) * n
    scores = padded.sum(2) / sizes

    if uniform:
        pruned = _lowest(scores.reshape(groups * rows, ic), int(sparsity * ic), seed)
    else:
        pruned = _lowest(scores.reshape(1, -1), round(sparsity * scores.numel()), seed)
    kept = ~pruned.reshape(groups, rows, ic).repeat_interleave(n, dim=1)[:, :per_group]
    return torch.empty_like(kept).scatter_(1, index, kept).reshape(oc, ic)


@torch.no_grad()
def impose_1xn(
    model: nn.Module,
    n: int,
    sparsity: float,
    *,
    uniform: bool = False,
    rearrange: bool = False,
    include: Collection[str] | None = None,
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Prune layers in place by the 1xN rule and return their masks.

    Parameters
    ----------
    model
        The network; weights of pruned blocks become zero.
    n
        Output channels of a block. Blocks don't cross groups; the last one of a group may be shorter.
    sparsity
        Share of blocks to prune, 0..1: ``round(sparsity * blocks)`` with the lowest L1 norm in each layer.
    uniform
        Prune ``int(sparsity * ic)`` blocks in every row of blocks instead.
    rearrange
        Cut blocks in the order of falling filter norm; the rows of a block are then not adjacent in the weight.
    include
        Layer names to prune; by default `prunable_layers`.
    seed
        Decides between blocks of equal norm.

    Returns
    -------
    dict of str to Tensor
        Layer name to bool mask (oc, ic/groups), True where weights are kept.

    """
    if n < 1 or not 0.0 <= sparsity <= 1.0:
        raise ValueError(f"impose_1xn: n is {n} (must be 1 or more), sparsity is {sparsity} (must be 0..1)")
    masks = {}
    for name in prunable_layers(model) if include is None else include:
        layer = model.get_submodule(name)
        if not isinstance(layer, Layer):
            raise TypeError(f"impose_1xn: {name!r} is a {type(layer).__name__}, not a Conv2d or Linear")
        groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
        mask = mask_1xn(layer.weight, n, sparsity, groups=groups, uniform=uniform, rearrange=rearrange, seed=seed)
        layer.weight.mul_(expand_mask(mask, layer.weight))
        masks[name] = mask
    return masks


def expand_mask(mask: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return ``mask`` (oc, ic/groups) in the shape and dtype of ``weight``."""
    return mask.reshape(*mask.shape, *(1,) * (weight.dim() - 2)).expand_as(weight).to(weight.dtype)


#: relative to a channel's mean square and the largest variance of all channels
_NO_VARIANCE = 1e-6


@torch.no_grad()
def calibrate_batchnorm(model: nn.Module, x: torch.Tensor) -> None:
    """Set the running statistics of every batch norm to those of one forward pass over ``x``.

    Other layers run in eval mode; each module's training flag and momentum are restored. Take images of about the
    size used later: statistics of much smaller ones let the activations of deep networks grow. A channel whose inputs
    are all pruned has no variance, only rounding errors: it gets 1, or these errors would be made 300 times larger.
    """
    training = {module: module.training for module in model.modules()}
    norms = [module for module in training if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = None
    model(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        variance[variance <= _NO_VARIANCE * (mean.square() + variance.max())] = 1
    for module, was_training in training.items():
        module.training = was_training
