"""Pruners in training loops: of one's own, and in one that calls hooks as Lightning does."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import nn

from sparsecc.prune import Callback, LightningCallback, OneByN, Subp

#: hooks that Lightning calls in a training of an epoch, in its order, some of many
EPOCH = (
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_train_epoch_end",
    "on_save_checkpoint",
)


def net() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)]
    return nn.Sequential(*layers)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(epoch))
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step()


class Trainer:
    """Calls hooks in Lightning's order: masks, checkpoint, optimizers, training."""

    def __init__(self, callback: Any) -> None:
        self.callback, self.optimizers, self.current_epoch = callback, [], 0

    def fit(self, model: nn.Module, epochs: Iterable[int], checkpoint: dict[str, Any] | None = None) -> dict[str, Any]:
        """Train, and give a checkpoint of the last epoch's end."""
        self._call("setup", model, stage="fit")
        if checkpoint:
            model.load_state_dict(checkpoint["model"])
            self.callback.load_state_dict(copy.deepcopy(checkpoint[self.callback.state_key]))
        self.optimizers = [torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)]
        if checkpoint:
            self.optimizers[0].load_state_dict(copy.deepcopy(checkpoint["optimizer"]))
        self._call("on_fit_start", model)
        for self.current_epoch in epochs:
            for hook in EPOCH:
                self._call(hook, model)
            train(model, self.optimizers[0], self.current_epoch)
        saved = {
            "model": model.state_dict(), "optimizer": self.optimizers[0].state_dict(),
            self.callback.state_key: self.callback.state_dict(),
        }  # fmt: skip
        saved = copy.deepcopy(saved)
        self._call("on_train_end", model)
        self._call("teardown", model, stage="fit")
        return saved

    def _call(self, hook: str, model: nn.Module, **named: Any) -> None:
        getattr(self.callback, hook)(self, model, **named)


def pruners() -> list[Any]:
    return [OneByN(n=4, sparsity=0.5), Subp(n=4, sparsity=0.5, decay_start=0, decay_end=2)]


@pytest.mark.parametrize("which", [0, 1], ids=["1xN", "SUBP"])
def test_hooks_do_what_the_calls_do(which: int) -> None:
    """The same weights, bit for bit, as of a loop that calls the pruner."""
    model, pruner = net(), pruners()[which]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    pruner.apply(model, optimizer=optimizer)
    plain_model, plain = net(), Callback(pruners()[which])
    plain_optimizer = torch.optim.SGD(plain_model.parameters(), lr=0.1, momentum=0.9)
    plain.on_train_begin(plain_model, plain_optimizer)
    for epoch in range(4):
        pruner.step(epoch)
        plain.on_epoch_begin(epoch)
        train(model, optimizer, epoch)
        train(plain_model, plain_optimizer, epoch)
    pruner.finalize()
    plain.on_train_end()
    hooked = net()
    Trainer(LightningCallback(pruners()[which])).fit(hooked, range(4))
    for found in (plain_model, hooked):
        torch.testing.assert_close(found.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert (model[2].weight == 0).float().mean() == 0.5


@pytest.mark.parametrize("which", [0, 1], ids=["1xN", "SUBP"])
def test_training_resumes(which: int) -> None:
    """From a checkpoint, whose masks need masks to go to."""
    whole, first, second = net(), net(), net()
    Trainer(LightningCallback(pruners()[which])).fit(whole, range(4))
    saved = Trainer(LightningCallback(pruners()[which], finalize=False)).fit(first, range(2))
    Trainer(LightningCallback(pruners()[which])).fit(second, range(2, 4), saved)
    torch.testing.assert_close(second.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_other_stages_and_other_attributes() -> None:
    """Validation and prediction leave a model as it is; no hook is not a method."""
    model, callback = net(), LightningCallback(OneByN(n=4, sparsity=0.5))
    callback.setup(None, model, stage="validate")
    assert list(model.state_dict()) == list(net().state_dict())
    assert callback.state_key == "sparsecc.prune.OneByN"
    assert not hasattr(callback, "monitor")


def test_masks_may_stay() -> None:
    model, pruner = net(), OneByN(n=4, sparsity=0.5)
    callback = Callback(pruner, finalize=False)
    callback.on_train_begin(model)
    state = callback.state_dict()
    callback.load_state_dict(state)
    callback.on_train_end()
    assert pruner.done
