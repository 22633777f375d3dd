"""A small network, its pruners and a training loop, for the tests of `sparsecc.prune`."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from sparsecc import prune

EPOCHS, STEPS = 6, 2


def net() -> nn.Module:
    """Stem, two convolutions to prune, a depthwise one, a grouped one, a classifier."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.ReLU(),
        nn.Conv2d(32, 32, 1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, groups=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10),
    )  # fmt: skip


#: names of the layers that are pruned by default
PRUNED = ["3", "8", "10"]


def subp(**options: object) -> prune.Subp:
    """SUBP that ends after four epochs."""
    settings = {"n": 4, "sparsity": 0.5, "decay_start": 1, "decay_end": 4} | options
    return prune.Subp(**settings)  # type: ignore[arg-type]


def bounds() -> dict[str, prune.Bounds]:
    """One layer of each fate: as it is, stopped at its upper bound, given back."""
    return {"3": prune.Bounds(0.1, 0.9), "8": prune.Bounds(0.1, 0.4), "10": prune.Bounds(0.8, 0.9)}


PRUNERS: dict[str, Callable[[], prune.Pruner | prune.Guided]] = {
    "one_by_n": lambda: prune.OneByN(4, 0.75),
    "rearranged": lambda: prune.OneByN(4, 0.75, rearrange="cluster"),
    "subp": subp,
    "subp_hard": lambda: subp(soft=False),
    "darb": lambda: prune.Darb(0.8),
    "bmwm": lambda: prune.Bmwm(8, unit="kernel"),
    "guided": lambda: prune.Guided(subp(), bounds(), patience=1),
}


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """SGD with momentum and weight decay."""
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)


def batch(epoch: int, step: int, *, rank: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and classes, the same for the same numbers."""
    generator = torch.Generator().manual_seed(1000 * rank + 10 * epoch + step)
    return torch.randn(8, 3, 8, 8, generator=generator), torch.randint(10, (8,), generator=generator)


def train(
    model: nn.Module,
    pruner: prune.Pruner | prune.Guided,
    optimizer: torch.optim.Optimizer,
    epochs: Iterable[int] = range(EPOCHS),
    *,
    rank: int = 0,
    amp: bool = False,
) -> None:
    """An ordinary loop; ``model`` may be wrapped."""
    model.train()
    for epoch in epochs:
        pruner.step(epoch)
        for step in range(STEPS):
            x, y = batch(epoch, step, rank=rank)
            with torch.autocast("cpu", torch.bfloat16, enabled=amp):
                loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
