"""The mask on a weight: a parametrization with a buffer, so that modules go on working with all of PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparsecc.errors import ModelError, NotSupportedError, UserError
from sparsecc.prune.layer import Layer


class _StraightThrough(torch.autograd.Function):  # type: ignore[misc]
    """Zero what is pruned going forward; pass the gradient to all weights."""

    @staticmethod
    def forward(weight: Tensor, mask: Tensor) -> Tensor:
        return weight.masked_fill(~mask, 0.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        return None

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class Mask(nn.Module):  # type: ignore[misc]
    """Parametrization that zeroes the pruned part of a weight.

    Attributes
    ----------
    mask : torch.Tensor
        bool buffer, True where weights are kept; broadcastable to the weight, and saved with the model as
        ``<layer>.parametrizations.weight.0.mask``.
    soft : bool
        True: gradients reach pruned weights too (SUBP). False: they are zero there.
    pattern : str
        What a report calls the pattern.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, *, soft: bool, pattern: str) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.soft = soft
        self.pattern = pattern

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with zeros where the mask is False; also where the weight is NaN."""
        if self.soft:
            masked: Tensor = _StraightThrough.apply(weight, self.mask)
            return masked
        return weight.masked_fill(~self.mask, 0.0)

    def extra_repr(self) -> str:
        """What ``print(model)`` shows."""
        return f"{self.pattern}, {'soft' if self.soft else 'hard'}"


def mask_of(module: nn.Module) -> Mask | None:
    """The mask of a module's weight; None when it has none."""
    lists = getattr(module, "parametrizations", None)
    if lists is None or "weight" not in lists:
        return None
    return next((part for part in lists["weight"] if isinstance(part, Mask)), None)


def check_free(layer: Layer) -> None:
    """Refuse a layer whose weight is no plain parameter.

    Raises
    ------
    ModelError
        It has a mask already, or was never initialised.
    NotSupportedError
        Something else computes the weight.
    """
    where = f"layer {layer.shown}"
    if mask_of(layer.module) is not None:
        raise ModelError(f"{where}: has a mask already; call finalize() of the pruner that made it first")
    if parametrize.is_parametrized(layer.module, "weight"):
        found = ", ".join(type(part).__name__ for part in layer.module.parametrizations["weight"])
        raise NotSupportedError(
            f"{where}: its weight is computed by {found}, expected a plain parameter; "
            "use torch.nn.utils.parametrize.remove_parametrizations, or leave it out: exclude=[...]"
        )
    weight = layer.module._parameters.get("weight")
    if weight is None:
        raise NotSupportedError(
            f"{where}: its weight is no parameter (torch.nn.utils.prune or weight norm make it so); "
            "make it plain, for example with torch.nn.utils.prune.remove(layer, 'weight')"
        )
    if isinstance(weight, nn.parameter.UninitializedParameter):
        raise ModelError(f"{where}: its weight has no shape yet; run the model once before pruning")


def attach(layer: Layer, *, soft: bool, pattern: str, single_weights: bool) -> None:
    """Put a mask that keeps everything on a layer. The parameter stays the same object: optimizers go on with it."""
    taps = (layer.taps,) if single_weights else ()
    kept = torch.ones((layer.groups, layer.oc, layer.ic, *taps), dtype=torch.bool, device=layer.weight.device)
    mask = Mask(layer.as_mask(kept).clone(), soft=soft, pattern=pattern)
    parametrize.register_parametrization(layer.module, "weight", mask)


def set_mask(layer: Layer, kept: Tensor) -> None:
    """Write kept kernels ``(groups, oc, ic)``, or weights ``(groups, oc, ic, taps)``, into the mask of a layer.

    It is written in place: a compiled model, or one in DDP, keeps hold of the buffer.
    """
    found = mask_of(layer.module)
    if found is None:
        raise UserError(f"layer {layer.shown}: its mask was removed by somebody else; apply a new pruner")
    found.mask.copy_(layer.as_mask(kept))


def detach(module: nn.Module) -> None:
    """Remove the mask of a module; the pruned weights become zeros of the plain parameter."""
    # A deep copy shares the class that PyTorch made for the parametrized module, and removing a parametrization
    # changes that class: the copy would lose its weight. So the module gets a class of its own first.
    shared = type(module)
    own = {name: value for name, value in vars(shared).items() if name not in ("__dict__", "__weakref__")}
    module.__class__ = type(shared.__name__, shared.__bases__, own)
    parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)


def finalize(model: nn.Module) -> nn.Module:
    """Remove all masks of a model, whoever applied them, and write zeros into its plain weights.

    For copies of a pruned model, and for models whose pruner is gone; a pruner has its own ``finalize``.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place; its parameters stay the same objects.

    Returns
    -------
    torch.nn.Module
        The same model.
    """
    for module in list(model.modules()):
        if mask_of(module) is not None:
            detach(module)
    return model
