"""The ways in which pruned checkpoints carry their masks.

Each ``to_<form>(model, masks)`` returns a deep copy of a pruned model. Its forward gives the same result, but the
stored weights have nonzeros where the mask is 0, as they have after training with a soft mask.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from .patterns import Layer, expand_mask

Masks = Mapping[str, torch.Tensor]


class StraightThrough(torch.autograd.Function):
    """Multiply by a mask going forward; pass the gradient unchanged, so pruned weights keep learning."""

    @staticmethod
    def forward(ctx: object, weight: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return ``weight * mask``."""
        return weight * mask

    @staticmethod
    def backward(ctx: object, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Return the gradient for ``weight`` only."""
        return grad, None


class MaskMultiply(nn.Module):
    """Parametrization that multiplies a weight by a fixed mask."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return ``weight * mask``."""
        return weight * self.mask


class MaskParameterConv2d(nn.Conv2d):
    """Convolution with a parameter ``mask`` of the weight's shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve with ``mask * weight``."""
        return self._conv_forward(x, self.mask * self.weight, self.bias)


class MaskParameterLinear(nn.Linear):
    """Linear layer with a parameter ``mask`` of the weight's shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply by ``mask * weight``."""
        return nn.functional.linear(x, self.mask * self.weight, self.bias)


class StraightThroughConv2d(nn.Conv2d):
    """Convolution with a buffer ``mask`` applied by `StraightThrough`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve with the masked weight."""
        return self._conv_forward(x, StraightThrough.apply(self.weight, self.mask), self.bias)


class StraightThroughLinear(nn.Linear):
    """Linear layer with a buffer ``mask`` applied by `StraightThrough`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply by the masked weight."""
        return nn.functional.linear(x, StraightThrough.apply(self.weight, self.mask), self.bias)


@torch.no_grad()
def _regrown(model: nn.Module, masks: Masks) -> nn.Module:
    """Copy the model and put weights of ordinary size where the masks are 0."""
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    for name, mask in masks.items():
        weight = model.get_submodule(name).weight
        noise = torch.randn(weight.shape, generator=generator) * weight.std()
        weight.add_(noise * (1 - expand_mask(mask, weight)))
    return model


def _subclassed(layer: nn.Module, conv: type[nn.Conv2d], linear: type[nn.Linear]) -> Layer:
    """Return a layer of the given subclass that takes over the weight and bias of ``layer``."""
    bias = layer.bias is not None
    if isinstance(layer, nn.Conv2d):
        fixed = (layer.stride, layer.padding, layer.dilation, layer.groups, bias, layer.padding_mode)
        new: Layer = conv(layer.in_channels, layer.out_channels, layer.kernel_size, *fixed)
    else:
        new = linear(layer.in_features, layer.out_features, bias)
    new.weight, new.bias = layer.weight, layer.bias
    return new.train(layer.training)


def to_torch_prune(model: nn.Module, masks: Masks) -> nn.Module:
    """torch.nn.utils.prune: ``weight_orig``, ``weight_mask`` and a hook that computes ``weight``."""
    model = _regrown(model, masks)
    for name, mask in masks.items():
        layer = model.get_submodule(name)
        prune.CustomFromMask.apply(layer, "weight", expand_mask(mask, layer.weight))
    return model


def to_parametrized(model: nn.Module, masks: Masks) -> nn.Module:
    """torch.nn.utils.parametrize: ``parametrizations.weight.original`` and ``parametrizations.weight.0.mask``."""
    model = _regrown(model, masks)
    for name, mask in masks.items():
        layer = model.get_submodule(name)
        parametrize.register_parametrization(layer, "weight", MaskMultiply(expand_mask(mask, layer.weight)))
    return model


def to_mask_parameter(model: nn.Module, masks: Masks) -> nn.Module:
    """A layer subclass with a parameter ``mask``: the form of the 1xN checkpoints."""
    model = _regrown(model, masks)
    for name, mask in masks.items():
        new = _subclassed(model.get_submodule(name), MaskParameterConv2d, MaskParameterLinear)
        new.mask = nn.Parameter(expand_mask(mask, new.weight).clone(), requires_grad=False)
        model.set_submodule(name, new)
    return model


def to_autograd_function(model: nn.Module, masks: Masks) -> nn.Module:
    """A layer subclass with a buffer ``mask`` and a straight-through gradient: the form of the SUBP checkpoints."""
    model = _regrown(model, masks)
    for name, mask in masks.items():
        new = _subclassed(model.get_submodule(name), StraightThroughConv2d, StraightThroughLinear)
        new.register_buffer("mask", expand_mask(mask, new.weight).clone())
        model.set_submodule(name, new)
    return model


FORMS: dict[str, Callable[[nn.Module, Masks], nn.Module]] = {
    "torch_prune": to_torch_prune,
    "parametrized": to_parametrized,
    "mask_parameter": to_mask_parameter,
    "autograd_function": to_autograd_function,
}
