"""1xN: blocks of N output channels at one input channel, pruned once by their norm."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from sparsecc.errors import ModelError
from sparsecc.prune.checked import checked_choice, checked_count
from sparsecc.prune.grouping import group_channels
from sparsecc.prune.layer import Layer
from sparsecc.prune.lowest import drop_lowest_of_all
from sparsecc.prune.pruner import Pruner
from sparsecc.prune.rows import Rows, block_norms, drop_lowest
from sparsecc.prune.select import share

Rearrange = bool | Literal["sort", "cluster"]
Remainder = Literal["short", "error"]


class OneByN(Pruner):
    """One-shot pruning of 1xN blocks by their norm, for a trained model that is fine-tuned afterwards.

    A block is N consecutive output channels at one input channel of a convolution (all taps), transposed convolution
    or linear layer. In each layer the ``int(sparsity * blocks)`` blocks with the lowest norm are pruned, so rows of
    blocks keep unequal counts. Rows never cross a conv group. Gradients of pruned weights are zero.

    Parameters
    ----------
    n : int
        Output channels of a block.
    sparsity : float
        Share of blocks to prune, 0 or more and below 1.
    rearrange : bool or str
        Which channels form a row. False: consecutive ones. True or ``"sort"``: consecutive ones in the order of
        falling norm of the filters. ``"cluster"``: channels that keep the same inputs, searched for; never keeps
        less than sorting. Channels stay where they are in the weight: only the mask knows of the rows.
    norm : str
        ``"l1"`` or ``"l2"``. Norms are taken per output channel of a row, so that a shorter last row competes fairly.
    scope : str
        ``"layer"``: the same share in every layer. ``"global"``: the blocks of all layers compete by norm per weight
        until the share of all weights is pruned; layers with a rate of their own do not take part. Every layer keeps
        at least one block.
    layers, exclude, rates
        As in :class:`~sparsecc.prune.pruner.Pruner`.
    remainder : str
        For channels that N does not divide. ``"short"``: the last row of each group has what is left. ``"error"``:
        refuse such layers.

    Notes
    -----
    Source: Lin et al. 2022 (arXiv 2105.14713), sections on the 1xN pattern and filter rearrangement. Global ranking and
    clustering are ours.
    """

    def __init__(
        self,
        n: int,
        sparsity: float,
        *,
        rearrange: Rearrange = False,
        norm: Literal["l1", "l2"] = "l1",
        scope: Literal["layer", "global"] = "layer",
        layers: Collection[str] | None = None,
        exclude: Collection[str] = (),
        rates: Mapping[str, float] | None = None,
        remainder: Remainder = "short",
    ) -> None:
        super().__init__(sparsity, layers=layers, exclude=exclude, rates=rates)
        self.n = checked_count(n, where="OneByN: n")
        method = ("sort" if rearrange else "none") if isinstance(rearrange, bool) else rearrange
        self.rearrange = checked_choice(method, ("none", "sort", "cluster"), where="OneByN: rearrange")
        self.norm = checked_choice(norm, ("l1", "l2"), where="OneByN: norm")
        self.scope = checked_choice(scope, ("layer", "global"), where="OneByN: scope")
        self.remainder = checked_choice(remainder, ("short", "error"), where="OneByN: remainder")

    @property
    def block_n(self) -> int | None:
        """Output channels of a block."""
        return self.n

    def _first_masks(self) -> dict[str, Tensor]:
        for layer in self._layers.values():
            check_remainder(layer, n=self.n, remainder=self.remainder)
        rows = {name: self._rows(layer) for name, layer in self._layers.items()}
        scores = {
            name: block_norms(layer.kernels(layer.values), rows[name], norm=self.norm)
            for name, layer in self._layers.items()
        }
        kept = self._kept(scores, rows)
        return {name: rows[name].join(blocks) for name, blocks in kept.items()}

    def _kept(self, scores: Mapping[str, Tensor], rows: Mapping[str, Rows]) -> dict[str, Tensor]:
        """Kept blocks ``(groups, rows, ic)`` of every layer."""
        competing = {name for name in scores if self.scope == "global" and name not in self._own_rates}
        kept = {
            name: drop_lowest(s.flatten(), share(self._rate(name), s.numel())).reshape(s.shape)
            for name, s in scores.items()
            if name not in competing
        }
        if not competing:
            return kept
        taps = {name: self._layers[name].taps for name in competing}
        per_weight = {
            name: s / _weights_per_output(taps[name], self.norm) for name, s in scores.items() if name in taps
        }
        sizes = {name: (rows[name].sizes.reshape(1, -1, 1) * taps[name]).expand_as(s) for name, s in per_weight.items()}
        return kept | drop_lowest_of_all(per_weight, sizes=sizes, rate=self.sparsity, limits=self._limits)

    def _rows(self, layer: Layer) -> Rows:
        weight = layer.values
        if self.rearrange == "none":
            return Rows.aligned(self.n, groups=layer.groups, oc=layer.oc, device=weight.device)
        kernels = layer.kernels(weight).float()
        norms = kernels.abs().sum(dim=3) if self.norm == "l1" else kernels.square().sum(dim=3)
        found = [group_channels(group, self.n, self._rate(layer.name), method=self.rearrange) for group in norms]
        return Rows(self.n, torch.stack([grouping.order for grouping in found]).to(weight.device))

    def _pattern(self, layer: Layer) -> str:
        how = {"none": "", "sort": ", sorted", "cluster": ", clustered"}[self.rearrange]
        return f"1x{self.n}{how}"

    def _config(self) -> dict[str, Any]:
        mine = {"n": self.n, "rearrange": self.rearrange, "norm": self.norm, "scope": self.scope}
        return super()._config() | mine


def _weights_per_output(taps: int, norm: str) -> float:
    """What turns a norm per output channel into one per weight."""
    return float(taps) if norm == "l1" else float(taps) ** 0.5


def check_remainder(layer: Layer, *, n: int, remainder: str) -> None:
    """Refuse channels that N does not divide, when the caller asked for that.

    Raises
    ------
    ModelError
        ``remainder`` is ``"error"`` and there is one.
    """
    if remainder == "error" and layer.oc % n:
        where = f"layer {layer.shown}: {layer.oc} output channels" + (" a group" if layer.groups > 1 else "")
        raise ModelError(f"{where} do not divide into blocks of {n}; exclude it, choose another n or remainder='short'")
