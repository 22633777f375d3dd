"""What all pruners have in common: attach masks, step, finalize, and the state that a checkpoint needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from sparsecc.errors import UserError
from sparsecc.prune.checked import checked_count, checked_names, checked_number, checked_rate, checked_rates
from sparsecc.prune.layer import Layer, sparsity_of
from sparsecc.prune.mask import attach, check_free, detach, mask_of, set_mask
from sparsecc.prune.report import PruneReport, report
from sparsecc.prune.select import select, spread

#: no limits; see `Pruner.apply`
NO_LIMITS: Mapping[str, float] = MappingProxyType({})


class Pruner(ABC):
    """Base of the pruners.

    A training loop has four calls::

        pruner.apply(model)  # masks on the weights; before DDP and torch.compile, before or after the optimizer
        for epoch in range(epochs):
            pruner.step(epoch)  # at the start of an epoch
            train(model)
        pruner.finalize()  # plain weights with zeros in them

    Masks are buffers of parametrizations: they are saved with the model, copied with it and moved with it. To load a
    checkpoint of a model that still has masks, call ``apply`` on a fresh model first; to resume training, load the
    states of model, optimizer and pruner.

    Parameters
    ----------
    sparsity : float
        Share to prune, at least 0 and below 1.
    layers, exclude : collection of str
        Names or patterns (``"layer3.*"``) of the layers to prune, and of those to leave out. By default all
        convolutions, transposed convolutions and linear layers are pruned but the stem (the first convolution),
        depthwise convolutions and the classifier (the last linear layer).
    rates : mapping of str to float
        Sparsity of single layers, by name or pattern, in place of ``sparsity``; 0 leaves one dense.
    seed : int
        Seed of the pruner's own random numbers.
    """

    #: whether gradients reach pruned weights
    _soft = False
    #: whether masks have an element for every weight, or one for every kernel
    _single_weights = False

    def __init__(
        self,
        sparsity: float,
        *,
        layers: Collection[str] | None = None,
        exclude: Collection[str] = (),
        rates: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        me = type(self).__name__
        self.sparsity = checked_rate(sparsity, where=f"{me}: sparsity")
        self._chosen = checked_names(layers, where=f"{me}: layers")
        self._exclude = checked_names(exclude, where=f"{me}: exclude") or ()
        self._rates = checked_rates(rates, where=me)
        self._generator = torch.Generator().manual_seed(checked_count(seed, where=f"{me}: seed", least=0))
        self._model: nn.Module | None = None
        self._layers: dict[str, Layer] = {}
        self._targets: dict[str, float] = {}
        self._limits: dict[str, float] = {}
        self._own_rates: frozenset[str] = frozenset()
        self._released: set[str] = set()
        self._epoch, self._finalized = -1, False

    def apply(
        self,
        model: nn.Module,
        *,
        optimizer: torch.optim.Optimizer | None = None,
        limits: Mapping[str, float] = NO_LIMITS,
    ) -> nn.Module:
        """Attach masks to a model, in place.

        Parameters
        ----------
        model : torch.nn.Module
            The bare model, not yet in DDP or ``torch.compile``.
        optimizer : torch.optim.Optimizer, optional
            Needed by pruners that decay masked weights.
        limits : mapping of str to float
            Highest sparsity by full layer name, 0..1; a layer with the limit 0 gets no mask.

        Returns
        -------
        torch.nn.Module
            The same model.

        Raises
        ------
        UserError
            The pruner has a model already, or a name fits no layer.
        ModelError, NotSupportedError
            A layer can't be pruned; the model is as it was.
        """
        if self._model is not None:
            raise UserError(f"{type(self).__name__}: has a model already; use one pruner for each model")
        self._check_optimizer(optimizer)
        limits = {
            name: checked_number(limit, where=f"{type(self).__name__}: limit of {name!r}", least=0.0)
            for name, limit in limits.items()
        }
        chosen = self.select(model)
        rates = spread(self._rates, [layer.name for layer in chosen], what="rates")
        targets = {layer.name: rates.get(layer.name, self.sparsity) for layer in chosen}
        pruned = [layer for layer in chosen if min(targets[layer.name], limits.get(layer.name, 1.0)) > 0.0]
        for layer in pruned:
            check_free(layer)
        self._layers = {layer.name: layer for layer in pruned}
        self._targets = {layer.name: targets[layer.name] for layer in pruned}
        self._own_rates = frozenset(rates)
        self._limits = {layer.name: limits.get(layer.name, 1.0) for layer in pruned}
        kept = self._first_masks()
        for layer in pruned:
            attach(layer, soft=self._soft, pattern=self._pattern(layer), single_weights=self._single_weights)
        self._model = model
        self._write(kept)
        self._watch(optimizer)
        return model

    def select(self, model: nn.Module) -> list[Layer]:
        """The layers that :meth:`apply` would prune, before rates and limits."""
        return select(model, layers=self._chosen, exclude=self._exclude)[0]

    def step(self, epoch: int) -> None:
        """Prune as the schedule says; call it at the start of every epoch, which count from 0.

        Patterns that are cut once stay as they are.
        """
        self._applied("step")
        self._epoch = checked_count(epoch, where=f"{type(self).__name__}: epoch", least=0)

    def finalize(self) -> nn.Module:
        """Remove the masks and write zeros into the plain weights; the pruner lets go of the model.

        Returns
        -------
        torch.nn.Module
            The same model; its parameters are the same objects as before.
        """
        model = self._applied("finalize")
        for layer in self._layers.values():
            detach(layer.module)
        self._unwatch()
        self._model, self._layers, self._finalized = None, {}, True
        return model

    def release(self, name: str) -> None:
        """Give a layer all its weights back and never prune it again; its mask stays, and keeps everything."""
        self._applied("release")
        if name not in self._layers:
            raise UserError(f"{type(self).__name__}: release: {name!r} is not among the pruned layers")
        mask = mask_of(self._layers[name].module)
        assert mask is not None
        mask.mask.fill_(True)
        mask.pattern = "dense again"
        self._released.add(name)

    @property
    def block_n(self) -> int | None:
        """Output channels of a block of whole kernels; None where single weights are pruned."""
        return None

    @property
    def done(self) -> bool:
        """True when sparsity has reached its end."""
        return self._model is not None

    def sparsities(self) -> dict[str, float]:
        """Share of pruned weights by layer, 0..1."""
        self._applied("sparsities")
        masks = {name: mask_of(layer.module) for name, layer in self._layers.items()}
        return {name: sparsity_of(mask.mask) for name, mask in masks.items() if mask is not None}

    def report(self) -> PruneReport:
        """What is pruned in the model; see :func:`sparsecc.prune.report`."""
        return report(self._applied("report"))

    def state_dict(self) -> dict[str, Any]:
        """State that training needs to resume bit for bit, besides those of model and optimizer: plain data."""
        return {
            "config": self._config(),
            "epoch": self._epoch,
            "generator": self._generator.get_state(),
            "released": sorted(self._released),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, after :meth:`apply`; load the model's state too.

        Raises
        ------
        UserError
            The state is that of a pruner with other settings.
        """
        self._applied("load_state_dict")
        mine = self._config()
        if state["config"] != mine:
            raise UserError(f"{type(self).__name__}: state of {state['config']}, expected that of {mine}")
        for name in state["released"]:
            self.release(name)
        self._epoch = state["epoch"]
        self._generator.set_state(state["generator"])

    @abstractmethod
    def _first_masks(self) -> dict[str, Tensor]:
        """Kept kernels or weights of ``self._layers`` when masks are attached."""

    @abstractmethod
    def _pattern(self, layer: Layer) -> str:
        """What the report calls a layer's pattern."""

    def _config(self) -> dict[str, Any]:
        """Settings that a saved state must agree with."""
        return {"pruner": type(self).__name__, "sparsity": self.sparsity, "rates": dict(self._rates)}

    def _check_optimizer(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Refuse an optimizer that is missing; most pruners need none."""
        return

    def _watch(self, optimizer: torch.optim.Optimizer | None) -> None:
        """Follow the optimizer's steps."""
        return

    def _unwatch(self) -> None:
        """Follow them no more."""
        return

    def _rate(self, name: str) -> float:
        """The layer's rate, within its limit."""
        return min(self._targets[name], self._limits[name])

    def _write(self, kept: Mapping[str, Tensor]) -> None:
        for name, mask in kept.items():
            if name not in self._released:
                set_mask(self._layers[name], mask)

    def _applied(self, call: str) -> nn.Module:
        if self._model is None and self._finalized:
            raise UserError(
                f"{type(self).__name__}: {call}() after finalize(), which removed the masks and let go of the model: "
                "its weights have their zeros already; to prune further, make a new pruner and call apply(model)"
            )
        if self._model is None:
            raise UserError(f"{type(self).__name__}: {call}() needs a model; call apply(model) first")
        return self._model
