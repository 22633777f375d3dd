"""DARB: the largest weight of every block of a row is kept; rows choose the size of their blocks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from sparsecc.errors import UserError
from sparsecc.prune.checked import checked_choice, checked_count
from sparsecc.prune.layer import Layer
from sparsecc.prune.pruner import Pruner
from sparsecc.prune.select import share

Unit = Literal["weight", "kernel"]


def block_max_mask(magnitudes: Tensor, sizes: Tensor) -> Tensor:
    """Keep the largest magnitude of every block: block-max weight masking.

    Parameters
    ----------
    magnitudes : torch.Tensor
        float ``(rows, columns)``, at least 0.
    sizes : torch.Tensor
        int64 ``(rows,)``, consecutive columns of a block in each row. Where a size does not divide the columns, the
        last block is shorter, and keeps one weight as well; a block is never longer than the row.

    Returns
    -------
    torch.Tensor
        bool ``(rows, columns)`` with ``ceil(columns / size)`` True in each row; of equal ones the first.

    Notes
    -----
    Source: Ren et al. 2020 (arXiv 1911.08020), block-max weight masking.
    """
    columns = magnitudes.shape[1]
    kept = torch.zeros_like(magnitudes, dtype=torch.bool)
    for size in sizes.clamp_max(columns).unique().tolist():
        rows = torch.nonzero(sizes.clamp_max(columns) == size).squeeze(1)
        padded = functional.pad(magnitudes[rows], (0, -columns % size), value=-1.0)
        best = padded.reshape(rows.numel(), -1, size).argmax(dim=2)
        best += torch.arange(best.shape[1], device=best.device) * size
        kept[rows] = torch.zeros_like(kept[rows]).scatter_(1, best, True)
    return kept


class _BlockMax(Pruner):
    """What both pruners of this file share; a row is an output channel, its columns are as in the weight."""

    unit: str

    @property
    def block_n(self) -> int | None:
        """1 where whole kernels are pruned: one output channel at one input channel."""
        return 1 if self.unit == "kernel" else None

    @property
    def _single_weights(self) -> bool:  # type: ignore[override]
        return self.unit == "weight"

    def _first_masks(self) -> dict[str, Tensor]:
        magnitudes = {name: self._magnitudes(layer) for name, layer in self._layers.items()}
        sizes = self._sizes(magnitudes)
        return {name: self._as_kept(block_max_mask(m, sizes[name]), name) for name, m in magnitudes.items()}

    def _magnitudes(self, layer: Layer) -> Tensor:
        """Magnitudes ``(groups * oc, columns)``: of weights, or L1 norms of kernels."""
        kernels = layer.kernels(layer.values).float().abs()
        if self.unit == "kernel":
            kernels = kernels.sum(dim=3)
        return kernels.reshape(layer.groups * layer.oc, -1)

    def _as_kept(self, kept: Tensor, name: str) -> Tensor:
        layer = self._layers[name]
        taps = (layer.taps,) if self._single_weights else ()
        return kept.reshape(layer.groups, layer.oc, layer.ic, *taps)

    @abstractmethod
    def _sizes(self, magnitudes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Size of the blocks of every row, by layer."""


class Bmwm(_BlockMax):
    """Block-max weight masking with blocks of one size: each keeps its largest weight.

    Parameters
    ----------
    block_size : int
        Consecutive columns of a block. Where it does not divide the columns of a row, the last block is shorter and
        keeps one weight as well.
    unit : str
        What a column is. ``"weight"``: a single weight, columns in the order input channel, height, width, as in the
        paper. ``"kernel"``: a whole kernel, judged by its L1 norm, which runs faster. For 1x1 convolutions and linear
        layers both are the same.
    layers, exclude
        As in :class:`~sparsecc.prune.pruner.Pruner`.

    Notes
    -----
    Source: Ren et al. 2020 (arXiv 1911.08020). A limit of ``apply`` makes blocks smaller.
    """

    def __init__(
        self,
        block_size: int,
        *,
        unit: Unit = "weight",
        layers: Collection[str] | None = None,
        exclude: Collection[str] = (),
    ) -> None:
        self.block_size = checked_count(block_size, where="Bmwm: block_size")
        self.unit = checked_choice(unit, ("weight", "kernel"), where="Bmwm: unit")
        super().__init__(1.0 - 1.0 / self.block_size, layers=layers, exclude=exclude)

    def _sizes(self, magnitudes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # 1e-9: a limit of 0.75 allows blocks of 4, whatever floats make of it
        largest = {name: int(1.0 / (1.0 - min(limit, 1 - 1e-9)) + 1e-9) for name, limit in self._limits.items()}
        return {
            name: torch.full((len(m),), min(self.block_size, largest[name]), device=m.device)
            for name, m in magnitudes.items()
        }

    def _pattern(self, layer: Layer) -> str:
        return f"1 of {self.block_size}" + (" kernels" if self.unit == "kernel" else "")

    def _config(self) -> dict[str, Any]:
        return super()._config() | {"block_size": self.block_size, "unit": self.unit}


class Darb(_BlockMax):
    """Density-adaptive regular blocks: block-max weight masking with blocks that suit the density of each row.

    The weights are pruned irregularly first, by magnitude, to find each row's density: the share of a row (an output
    channel) that is above the threshold. The row's block size is the power of two nearest to ``1 / density`` (nearest
    in the logarithm), at most ``max_block``. Then every block keeps its largest weight. ``sparsity`` is that of the
    irregular pruning; rounding to powers of two makes the final one differ a little, see :meth:`report`.

    Parameters
    ----------
    sparsity : float
        Share that irregular pruning removes, 0 or more and below 1.
    scope : str
        ``"layer"``: one threshold a layer. ``"global"``: one for all, but for layers with a rate of their own.
    unit : str
        As in :class:`Bmwm`.
    max_block : int
        Largest block, a power of two; 256 keeps offsets within a block in 8 bits.
    layers, exclude, rates
        As in :class:`~sparsecc.prune.pruner.Pruner`.

    Notes
    -----
    Source: Ren et al. 2020 (arXiv 1911.08020). The paper gives no rule for rounding; this one is ours. With a limit of
    ``apply``, a layer that would pass it takes the limit as its rate and rounds block sizes down.
    """

    def __init__(
        self,
        sparsity: float,
        *,
        scope: Literal["layer", "global"] = "layer",
        unit: Unit = "weight",
        max_block: int = 256,
        layers: Collection[str] | None = None,
        exclude: Collection[str] = (),
        rates: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(sparsity, layers=layers, exclude=exclude, rates=rates)
        self.scope = checked_choice(scope, ("layer", "global"), where="Darb: scope")
        self.unit = checked_choice(unit, ("weight", "kernel"), where="Darb: unit")
        self.max_block = checked_count(max_block, where="Darb: max_block", least=2)
        if self.max_block & (self.max_block - 1):
            raise UserError(f"Darb: max_block: found {max_block}, expected a power of two such as 256")

    def _sizes(self, magnitudes: Mapping[str, Tensor]) -> dict[str, Tensor]:
        competing = [name for name in magnitudes if self.scope == "global" and name not in self._own_rates]
        sizes = {}
        if competing:
            together = torch.cat([magnitudes[name].flatten() for name in competing])
            threshold = _threshold(together, self.sparsity)
            sizes = {name: self._nearest(_density(magnitudes[name], threshold)) for name in competing}
        for name, m in magnitudes.items():
            if name not in sizes:
                sizes[name] = self._nearest(_density(m, _threshold(m.flatten(), self._targets[name])))
            if _sparsity(sizes[name], columns=m.shape[1]) > self._limits[name]:
                sizes[name] = self._below(_density(m, _threshold(m.flatten(), self._rate(name))))
        return sizes

    def _nearest(self, density: Tensor) -> Tensor:
        return self._powers((1.0 / density).log2().round())

    def _below(self, density: Tensor) -> Tensor:
        return self._powers((1.0 / density).log2().floor())

    def _powers(self, exponents: Tensor) -> Tensor:
        return torch.pow(2, exponents.clamp_max(self.max_block.bit_length() - 1)).long()

    def _pattern(self, layer: Layer) -> str:
        return "1 a block, by row" + (" of kernels" if self.unit == "kernel" else "")

    def _config(self) -> dict[str, Any]:
        return super()._config() | {"scope": self.scope, "unit": self.unit, "max_block": self.max_block}


def _threshold(magnitudes: Tensor, rate: float) -> float:
    """Largest magnitude that irregular pruning removes; -1 when it removes none."""
    count = share(rate, magnitudes.numel())
    return float(magnitudes.kthvalue(count).values) if count else -1.0


def _density(magnitudes: Tensor, threshold: float) -> Tensor:
    """Share of every row above a threshold, float64 ``(rows,)``; tiny where nothing is."""
    above = (magnitudes > threshold).sum(dim=1).double() / magnitudes.shape[1]
    return above.clamp_min(1e-12)


def _sparsity(sizes: Tensor, *, columns: int) -> float:
    """Share that blocks of these sizes prune."""
    kept = -(-columns // sizes.clamp_max(columns))
    return 1.0 - float(kept.double().mean()) / columns
