"""SUBP: a network is trained from scratch while its blocks are pruned and regrown, equally many in every row."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from sparsecc.errors import UserError
from sparsecc.prune.checked import checked_choice, checked_count, checked_flag, checked_number
from sparsecc.prune.criteria import score
from sparsecc.prune.layer import Layer
from sparsecc.prune.mask import mask_of
from sparsecc.prune.onebyn import Remainder, check_remainder
from sparsecc.prune.pruner import Pruner
from sparsecc.prune.ramp import RAMPS, ramp
from sparsecc.prune.rows import Rows, drop_lowest
from sparsecc.prune.select import share


class Subp(Pruner):
    """Soft uniform block pruning: train from scratch, and end with the same number of blocks in every row.

    A block is that of :class:`~sparsecc.prune.OneByN`. Every :meth:`step` scores all blocks; in every row of blocks the
    ``int(sparsity * ic)`` lowest are pruned, then ``int((sparsity - current) * ic)`` of these grow back, drawn without
    replacement with probability ``softmax(score / |scores| / temperature)``. The current sparsity rises from 0 at
    ``decay_start`` to ``sparsity`` at ``decay_end``; from then on every row keeps exactly
    ``ic - int(sparsity * ic)`` blocks.

    Parameters
    ----------
    n : int
        Output channels of a block.
    sparsity : float
        Share of blocks to prune in every row at the end, 0 or more and below 1.
    decay_start, decay_end : int
        Between which sparsity rises, in epochs as :meth:`step` is given them, counted from 0: not steps of the
        optimizer. Equal ones prune at once.
    schedule : str
        How it rises: ``"cubic"``, ``"linear"``, ``"exp"`` or ``"cos"``.
    criterion : str
        ``"bpar"``: share of the row's L1 norm, less ``alpha`` times the share of its redundancy, the sum of the
        magnitudes of cosines to the row's other blocks; small and redundant blocks go first. ``"l1"``, ``"l2"``: norm.
    alpha, temperature : float
        As above.
    decay : float
        Masked weights shrink: before every step of the optimizer, ``decay * weight`` is added to their gradient, after
        a gradient scaler has unscaled it. ``apply`` needs the optimizer then; 0 does without.
    soft : bool
        True: the gradient goes straight through the mask to all weights, so that pruned blocks go on learning and may
        return. False: it is zero at pruned weights.
    layers, exclude, rates, seed
        As in :class:`~sparsecc.prune.pruner.Pruner`.
    remainder : str
        As in :class:`~sparsecc.prune.OneByN`. The paper asks for ``"error"``; with ``"short"`` rows are uniform too.

    Notes
    -----
    Source: Xiang et al. 2023 (arXiv 2310.06218). Random numbers are made on the CPU: all processes of DDP draw
    the same.
    """

    def __init__(
        self,
        n: int,
        sparsity: float,
        *,
        decay_start: int,
        decay_end: int,
        schedule: Literal["cubic", "linear", "exp", "cos"] = "cubic",
        criterion: Literal["bpar", "l1", "l2"] = "bpar",
        alpha: float = 1.0,
        temperature: float = 1.0,
        decay: float = 2e-4,
        soft: bool = True,
        layers: Collection[str] | None = None,
        exclude: Collection[str] = (),
        rates: Mapping[str, float] | None = None,
        remainder: Remainder = "short",
        seed: int = 0,
    ) -> None:
        super().__init__(sparsity, layers=layers, exclude=exclude, rates=rates, seed=seed)
        self.n = checked_count(n, where="Subp: n")
        self.decay_start = checked_count(decay_start, where="Subp: decay_start", least=0)
        self.decay_end = checked_count(decay_end, where="Subp: decay_end", least=decay_start)
        self.schedule = checked_choice(schedule, RAMPS, where="Subp: schedule")
        self.criterion = checked_choice(criterion, ("bpar", "l1", "l2"), where="Subp: criterion")
        self.remainder = checked_choice(remainder, ("short", "error"), where="Subp: remainder")
        self.alpha = checked_number(alpha, where="Subp: alpha")
        self.temperature = checked_number(temperature, where="Subp: temperature", above=0.0)
        self.decay = checked_number(decay, where="Subp: decay", least=0.0)
        self._soft = checked_flag(soft, where="Subp: soft")
        self._handle: Any = None

    @property
    def block_n(self) -> int | None:
        """Output channels of a block."""
        return self.n

    def step(self, epoch: int) -> None:
        """Score all blocks, prune, and let some grow back; call it at the start of every epoch, which count from 0."""
        super().step(epoch)
        reached = ramp(self.schedule, self._epoch, start=self.decay_start, end=self.decay_end)
        active = [layer for name, layer in self._layers.items() if name not in self._released]
        self._write({layer.name: self._kept(layer, reached) for layer in active})

    def finalize(self) -> Any:
        """Remove the masks, once they are exact.

        Raises
        ------
        UserError
            Before ``decay_end``: rows would keep too many blocks.
        """
        self._applied("finalize")
        if not self.done:
            raise UserError(
                f"Subp: finalize() after epoch {self._epoch}, but sparsity is reached at epoch {self.decay_end}; "
                f"train until then, or call step({self.decay_end}) before"
            )
        return super().finalize()

    @property
    def done(self) -> bool:
        """True from ``decay_end`` on."""
        return super().done and self._epoch >= self.decay_end

    def _kept(self, layer: Layer, reached: float) -> Tensor:
        """Kept kernels ``(groups, oc, ic)`` when sparsity has reached a share of its end."""
        rate = self._rate(layer.name)
        weight = layer.values
        rows = Rows.aligned(self.n, groups=layer.groups, oc=layer.oc, device=weight.device)
        blocks = rows.cut(layer.kernels(weight)).flatten(0, 1).transpose(1, 2).flatten(2)
        scores = score(blocks, criterion=self.criterion, alpha=self.alpha)
        kept = drop_lowest(scores, share(rate, layer.ic))
        kept = self._regrown(kept, scores, share(rate * (1.0 - reached), layer.ic))
        return rows.join(kept.reshape(layer.groups, rows.count, layer.ic))

    def _regrown(self, kept: Tensor, scores: Tensor, count: int) -> Tensor:
        """Let ``count`` pruned blocks of every row grow back."""
        if count == 0:
            return kept
        logits = functional.normalize(scores.masked_fill(kept, 0.0), dim=1) / self.temperature
        # the largest of logits with Gumbel noise are a sample without replacement from their softmax
        noise = torch.rand(scores.shape, generator=self._generator).clamp_min(1e-20).log().neg().log().neg()
        keys = (logits + noise.to(logits.device)).masked_fill(kept, -torch.inf)
        return kept.scatter(1, keys.topk(count, dim=1).indices, True)

    def _first_masks(self) -> dict[str, Tensor]:
        for layer in self._layers.values():
            check_remainder(layer, n=self.n, remainder=self.remainder)
        return {}

    def _pattern(self, layer: Layer) -> str:
        return f"1x{self.n}, uniform"

    def _config(self) -> dict[str, Any]:
        rise = {"schedule": self.schedule, "decay_start": self.decay_start, "decay_end": self.decay_end}
        rule = {"criterion": self.criterion, "alpha": self.alpha, "temperature": self.temperature}
        return super()._config() | {"n": self.n, "soft": self._soft, "decay": self.decay} | rise | rule

    def _check_optimizer(self, optimizer: torch.optim.Optimizer | None) -> None:
        if self.decay and optimizer is None:
            raise UserError(
                f"Subp: decay is {self.decay:g}, but there is no optimizer to apply it; "
                "pass apply(model, optimizer=optimizer), or decay=0"
            )

    def _watch(self, optimizer: torch.optim.Optimizer | None) -> None:
        if self.decay and optimizer is not None:
            self._handle = optimizer.register_step_pre_hook(lambda *_: self._decay_masked())

    def _unwatch(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _decay_masked(self) -> None:
        for layer in self._layers.values():
            mask, weight = mask_of(layer.module), layer.weight
            if mask is not None and weight.grad is not None:
                weight.grad.add_(layer.values.masked_fill(mask.mask, 0.0), alpha=self.decay)
