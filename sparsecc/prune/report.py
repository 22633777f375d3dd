"""What is pruned in a model, as a table and as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from sparsecc.prune.layer import Layer, layers_of
from sparsecc.prune.mask import mask_of
from sparsecc.prune.select import left_out_by_default
from sparsecc.text import printable

_HEAD = ("layer", "kind", "weight", "pattern", "pruned", "kept weights", "kept per output", "note")
_LEFT = ("layer", "kind", "pattern", "note")


@dataclass(frozen=True)
class LayerReport:
    """One layer.

    Attributes
    ----------
    name, kind : str
    shape : tuple of int
        The weight's.
    pattern : str
        Pattern of its mask; empty without one.
    size, kept : int
        Weights, and those that are neither masked nor zero.
    per_output : tuple of int
        Fewest and most kernels of an output channel that are not all zero.
    note : str
        Why there is no mask, or that a layer is nothing but zeros; may be empty.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    pattern: str
    size: int
    kept: int
    per_output: tuple[int, int]
    note: str

    @property
    def sparsity(self) -> float:
        """Share of pruned weights, 0..1."""
        return 1 - self.kept / self.size


@dataclass(frozen=True)
class PruneReport:
    """All layers that could be pruned, in the model's order; ``str()`` gives a table."""

    layers: tuple[LayerReport, ...]

    @property
    def sparsity(self) -> float:
        """Share of zeros among the weights of all layers, 0..1; 0 without layers."""
        size = sum(layer.size for layer in self.layers)
        return 1 - sum(layer.kept for layer in self.layers) / size if size else 0.0

    def __str__(self) -> str:
        columns = list(zip(_HEAD, *map(_row, self.layers), strict=True))
        widths = [max(map(len, column)) for column in columns]
        lines = [
            "  ".join(
                cell.ljust(width) if column[0] in _LEFT else cell.rjust(width)
                for cell, column, width in zip(cells, columns, widths, strict=True)
            ).rstrip()
            for cells in zip(*columns, strict=True)
        ]
        masked = sum(bool(layer.pattern) for layer in self.layers)
        size, kept = sum(layer.size for layer in self.layers), sum(layer.kept for layer in self.layers)
        total = (
            f"{len(self.layers)} layers, {masked} with masks; {kept} of {size} weights kept, {self.sparsity:.1%} pruned"
        )
        return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], "", total])

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        layers = [asdict(layer) | {"sparsity": layer.sparsity} for layer in self.layers]
        return {"layers": layers, "sparsity": self.sparsity}


def report(model: nn.Module) -> PruneReport:
    """Show what is pruned in a model, with masks or after ``finalize()``.

    Parameters
    ----------
    model : torch.nn.Module

    Returns
    -------
    PruneReport
        Every convolution, transposed convolution and linear layer.
    """
    layers = layers_of(model)
    reasons = left_out_by_default(layers)
    return PruneReport(tuple(_describe(layer, reasons.get(layer.name, "")) for layer in layers))


def _describe(layer: Layer, reason: str) -> LayerReport:
    mask = mask_of(layer.module)
    nonzero = layer.kernels(layer.module.weight.detach()) != 0
    per_output = nonzero.any(dim=3).sum(dim=2)
    kept = int(nonzero.sum())
    note = "all weights are zero" if kept == 0 else "" if mask is not None else reason
    return LayerReport(
        name=layer.name,
        kind="depthwise" if layer.is_depthwise else layer.kind,
        shape=layer.shape,
        pattern=mask.pattern if mask is not None else "",
        size=layer.size,
        kept=kept,
        per_output=(int(per_output.min()), int(per_output.max())),
        note=note,
    )


def _row(layer: LayerReport) -> tuple[str, ...]:
    low, high = layer.per_output
    return (
        printable(layer.name),
        layer.kind,
        "x".join(map(str, layer.shape)),
        layer.pattern or "-",
        f"{layer.sparsity:.1%}",
        str(layer.kept),
        str(low) if low == high else f"{low} to {high}",
        layer.note,
    )
