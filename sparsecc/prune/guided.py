"""SkimCaffe's guided sparsity learning: prune no layer further than it gets faster, and no layer that stays slower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sparsecc.errors import UserError
from sparsecc.prune.advisor import Advisor, AdvisorForBlocks, LayerBounds, bounds_of
from sparsecc.prune.checked import checked_count, checked_flag, checked_number
from sparsecc.prune.pruner import Pruner
from sparsecc.prune.report import PruneReport
from sparsecc.text import printable


@dataclass(frozen=True)
class Bounds:
    """Useful sparsity of a layer: a :class:`LayerBounds`.

    Attributes
    ----------
    lower, upper : float
        Sparsity below which a layer is slower than dense, and above which it gets no faster; 0..1.
    potential : bool
        False when no sparsity makes it faster.

    Raises
    ------
    UserError
        Bounds out of order or range.
    """

    lower: float
    upper: float
    potential: bool = True

    def __post_init__(self) -> None:
        lower = checked_number(self.lower, where="Bounds: lower")
        upper = checked_number(self.upper, where="Bounds: upper")
        checked_flag(self.potential, where="Bounds: potential")
        if not 0.0 <= lower <= upper <= 1.0:
            raise UserError(f"Bounds: found lower {lower}, upper {upper}, expected 0 <= lower <= upper <= 1")


class Guided:
    """Guided sparsity learning around any pruner.

    * A layer without potential gets no mask.
    * A layer is not pruned beyond its upper bound: it stops at the last whole block, or block size, below it.
    * A layer that has *settled* below its lower bound gets its dense weights back and is not pruned again. Layers are
      settled once the pruner is ``done`` (at once for patterns that are cut once, at ``decay_end`` for SUBP) and
      ``patience`` further steps have changed no layer's sparsity; at the latest in :meth:`finalize`.

    It has the methods of a pruner. What a layer gets back are the stored weights: with soft masks they went on
    learning, with hard ones they are those of before, but for the optimizer's weight decay.

    Parameters
    ----------
    pruner : Pruner
        Not yet applied.
    advisor : mapping of str to bounds, or an object with ``bounds()`` or ``bounds(n)`` that returns one
        Bounds by layer name, for every layer that the pruner would prune. What :func:`sparsecc.advise` returns is such
        an object; it is asked for the N of the pruner.
    patience : int
        Steps to wait before a layer below its lower bound is given up; 0 decides at once.

    Raises
    ------
    UserError
        One of them is something else, the pruner prunes no whole blocks and the advisor wants to know their size, or
        the advice is for other sizes.

    Notes
    -----
    Source: Park et al. 2017 (arXiv 1608.01409), guided sparsity learning.
    """

    def __init__(
        self,
        pruner: Pruner,
        advisor: Mapping[str, LayerBounds] | Advisor | AdvisorForBlocks,
        *,
        patience: int = 0,
    ) -> None:
        if not isinstance(pruner, Pruner):
            raise UserError(f"Guided: pruner: found {type(pruner).__name__}, expected a pruner such as prune.OneByN")
        self.pruner = pruner
        self.patience = checked_count(patience, where="Guided: patience", least=0)
        self._bounds = bounds_of(advisor, pruner)
        self._unchanged = 0
        self._before: dict[str, float] = {}
        self._settled = False

    def apply(self, model: nn.Module, *, optimizer: torch.optim.Optimizer | None = None) -> nn.Module:
        """Attach masks, as :meth:`Pruner.apply`, to the layers with potential.

        Raises
        ------
        UserError
            The advisor knows nothing of a layer that would be pruned.
        """
        names = [layer.name for layer in self.pruner.select(model)]
        unknown = [name for name in names if name not in self._bounds]
        if unknown:
            raise UserError(
                f"Guided: the advisor has no bounds for {', '.join(map(printable, unknown[:3]))}"
                f"{' and others' if len(unknown) > 3 else ''}; add them, or exclude these layers from the pruner"
            )
        limits = {name: b.upper if b.potential else 0.0 for name, b in self._bounds.items()}
        self.pruner.apply(model, optimizer=optimizer, limits=limits)
        self._before = self.pruner.sparsities()
        self._settle()
        return model

    def step(self, epoch: int) -> None:
        """Step the pruner, then look for layers that have settled below their lower bound."""
        self.pruner.step(epoch)
        now = self.pruner.sparsities()
        self._unchanged = self._unchanged + 1 if now == self._before and self.pruner.done else 0
        self._before = now
        self._settle()

    def finalize(self) -> nn.Module:
        """Give back what is below its lower bound, then finalize the pruner."""
        if self.pruner.done:
            self._give_back()
        return self.pruner.finalize()

    @property
    def done(self) -> bool:
        """True when sparsity has reached its end and layers have settled."""
        return self.pruner.done and self._settled

    def sparsities(self) -> dict[str, float]:
        """Share of pruned weights by layer, 0..1."""
        return self.pruner.sparsities()

    def report(self) -> PruneReport:
        """What is pruned in the model."""
        return self.pruner.report()

    def state_dict(self) -> dict[str, Any]:
        """State of the pruner and of the waiting: plain data."""
        mine = {"unchanged": self._unchanged, "before": dict(self._before), "settled": self._settled}
        return {"guided": mine, "pruner": self.pruner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, after :meth:`apply`; load the model's state too."""
        self.pruner.load_state_dict(state["pruner"])
        mine = state["guided"]
        self._unchanged, self._before, self._settled = mine["unchanged"], dict(mine["before"]), mine["settled"]

    def _settle(self) -> None:
        if self.pruner.done and not self._settled and self._unchanged >= self.patience:
            self._give_back()

    def _give_back(self) -> None:
        for name, sparsity in self.pruner.sparsities().items():
            if sparsity < self._bounds[name].lower:
                self.pruner.release(name)
        self._settled = True
