"""A layer that can be pruned: where its output and input channels are, and how a mask fits its weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from sparsecc.text import printable

Kind: TypeAlias = Literal["conv", "conv_transpose", "linear"]

_KINDS: dict[type[nn.Module], Kind] = {
    nn.Conv2d: "conv",
    nn.ConvTranspose2d: "conv_transpose",
    nn.Linear: "linear",
}


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution, transposed convolution or linear layer.

    Attributes
    ----------
    name : str
        Its name in the model.
    module : torch.nn.Module
    kind : str
        ``"conv"``, ``"conv_transpose"`` or ``"linear"``.
    shape : tuple of int
        The weight's shape as PyTorch has it.
    groups, oc, ic, taps : int
        Groups; output and input channels of one group; ``kh * kw``.
    """

    name: str
    module: nn.Module
    kind: Kind
    shape: tuple[int, ...]
    groups: int
    oc: int
    ic: int
    taps: int

    @property
    def shown(self) -> str:
        """The name, for messages."""
        return printable(self.name)

    @property
    def is_depthwise(self) -> bool:
        """True when every group has a single input channel: there is no block to skip."""
        return self.groups > 1 and self.ic == 1

    @property
    def size(self) -> int:
        """Weights of the layer."""
        return self.groups * self.oc * self.ic * self.taps

    @property
    def weight(self) -> Tensor:
        """The stored weight, without the mask: the parameter that an optimizer trains."""
        lists = getattr(self.module, "parametrizations", None)
        if lists is not None and "weight" in lists:
            stored: Tensor = lists["weight"].original
            return stored
        weight: Tensor = self.module.weight
        return weight

    @property
    def values(self) -> Tensor:
        """The stored weight, apart from the graph of gradients."""
        return self.weight.detach()

    def kernels(self, weight: Tensor) -> Tensor:
        """View a tensor of the weight's shape as ``(groups, oc, ic, taps)``: output channels of a group first."""
        if self.kind == "conv_transpose":
            return weight.reshape(self.groups, self.ic, self.oc, self.taps).transpose(1, 2)
        return weight.reshape(self.groups, self.oc, self.ic, self.taps)

    def as_mask(self, kept: Tensor) -> Tensor:
        """Give kept kernels ``(groups, oc, ic)``, or weights with ``taps`` behind, the layout of the weight.

        Returns
        -------
        torch.Tensor
            bool, broadcastable to the weight: a mask of whole kernels has one element for all taps.
        """
        whole = kept.dim() == 3
        taps = tuple(1 if whole else extent for extent in self.shape[2:])
        if self.kind == "conv_transpose":
            return kept.transpose(1, 2).reshape(self.groups * self.ic, self.oc, *taps)
        return kept.reshape(self.groups * self.oc, self.ic, *taps)


def as_layer(name: str, module: nn.Module) -> Layer | None:
    """Describe a module; None when it is of no kind that can be pruned."""
    kind = next((kind for base, kind in _KINDS.items() if isinstance(module, base)), None)
    if kind is None:
        return None
    if kind == "linear":
        oc, ic = int(module.out_features), int(module.in_features)
        return Layer(name, module, kind, (oc, ic), 1, oc, ic, 1)
    groups = int(module.groups)
    kh, kw = (int(extent) for extent in module.kernel_size)
    oc, ic = int(module.out_channels), int(module.in_channels)
    shape = (ic, oc // groups, kh, kw) if kind == "conv_transpose" else (oc, ic // groups, kh, kw)
    return Layer(name, module, kind, shape, groups, oc // groups, ic // groups, kh * kw)


def layers_of(model: nn.Module) -> list[Layer]:
    """All layers that can be pruned, in the model's order."""
    found = (as_layer(name, module) for name, module in model.named_modules())
    return [layer for layer in found if layer is not None]


def sparsity_of(mask: Tensor) -> float:
    """Share of a mask that is pruned, 0 to 1."""
    return 1.0 - int(torch.count_nonzero(mask)) / int(mask.numel())
