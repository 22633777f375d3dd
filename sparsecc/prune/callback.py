"""Pruners as callbacks of training loops: of one's own, and of those that call hooks as Lightning does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from sparsecc.prune.guided import Guided
from sparsecc.prune.pruner import Pruner


class Callback:
    """For a loop of one's own: three calls, and the state for a checkpoint.

    >>> callback = Callback(OneByN(n=16, sparsity=0.75))   # doctest: +SKIP
    >>> callback.on_train_begin(model, optimizer)          # doctest: +SKIP
    >>> for epoch in range(epochs):                        # doctest: +SKIP
    ...     callback.on_epoch_begin(epoch)
    ...     train_one_epoch(model, optimizer)
    >>> callback.on_train_end()                            # doctest: +SKIP

    Parameters
    ----------
    pruner : Pruner or Guided
        Without a model.
    finalize : bool
        Whether masks go at the end of training; without it call ``pruner.finalize()`` later.
    """

    def __init__(self, pruner: Pruner | Guided, *, finalize: bool = True) -> None:
        self.pruner, self._finalize = pruner, finalize

    def on_train_begin(self, model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Attach masks: before DDP and ``torch.compile``, and before a checkpoint of a masked model is loaded."""
        self.pruner.apply(model, optimizer=optimizer)

    def on_epoch_begin(self, epoch: int) -> None:
        """Prune as the schedule says; epochs count from 0."""
        self.pruner.step(epoch)

    def on_train_end(self) -> None:
        """Remove the masks; zeros are in the weights then."""
        if self._finalize:
            self.pruner.finalize()

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, besides the model's."""
        return self.pruner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back, after :meth:`on_train_begin`."""
        self.pruner.load_state_dict(state)


class LightningCallback:
    """For ``lightning.Trainer(callbacks=[...])``; it has Lightning's hooks by their names and needs no Lightning.

    Masks are on the module before a checkpoint is read, so training resumes. Names of layers begin with the
    attribute that the module keeps its network in: ``"model.layer1.*"``.

    Parameters
    ----------
    pruner : Pruner or Guided
        Without a model.
    finalize : bool
        Whether masks go at the end of training; without it call ``pruner.finalize()`` later.
    """

    def __init__(self, pruner: Pruner | Guided, *, finalize: bool = True) -> None:
        self._plain = Callback(pruner, finalize=finalize)
        self._optimizer: _LaterOptimizer | None = None

    @property
    def state_key(self) -> str:
        """What a checkpoint calls the callback's state."""
        return f"sparsecc.prune.{type(self._plain.pruner).__name__}"

    def setup(self, trainer: Any, pl_module: nn.Module, stage: str) -> None:
        """Attach masks, once, before training."""
        if stage == "fit" and self._optimizer is None:
            self._optimizer = _LaterOptimizer()
            self._plain.on_train_begin(pl_module, self._optimizer)

    def on_fit_start(self, trainer: Any, pl_module: nn.Module) -> None:
        """Follow the optimizers, which are there now."""
        if self._optimizer is not None:
            self._optimizer.connect(trainer.optimizers)

    def on_train_epoch_start(self, trainer: Any, pl_module: nn.Module) -> None:
        """Prune as the schedule says."""
        self._plain.on_epoch_begin(trainer.current_epoch)

    def on_train_end(self, trainer: Any, pl_module: nn.Module) -> None:
        """Remove the masks."""
        self._plain.on_train_end()
        self._optimizer = None

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, besides the model's."""
        return self._plain.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take it back; Lightning does so after :meth:`setup`."""
        self._plain.load_state_dict(state_dict)

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Lightning calls all of its hooks; those that are not of interest do nothing."""
        if name.startswith("on_") or name == "teardown":
            return _nothing
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class _LaterOptimizer:
    """Stands for the optimizers that there will be: pruners ask to be called before their steps."""

    def __init__(self) -> None:
        self._hooks: list[Callable[..., Any]] = []
        self._handles: list[Any] = []

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> _LaterOptimizer:
        self._hooks.append(hook)
        return self

    def connect(self, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        """Pass on what was asked for, to the first: each of them would do it once more."""
        for optimizer in list(optimizers)[:1]:
            self._handles += [optimizer.register_step_pre_hook(hook) for hook in self._hooks]
        self._hooks = []

    def remove(self) -> None:
        """As a hook's handle does."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._hooks = [], []


def _nothing(*_: Any, **__: Any) -> None:
    return None
