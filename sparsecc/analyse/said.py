"""What is said of the algorithms of a plan's layers: cells and lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sparsecc.analyse.layers import LayerPlan
from sparsecc.ir.provenance import RECORDS
from sparsecc.text import printable

#: layers that a line names
_NAMED = 4
LEGEND = "algorithm: tiles of Winograd's, and what it adds to the weights."


def has_tiles(layers: Sequence[LayerPlan]) -> bool:
    """Whether there is anything to say in a column of its own."""
    return any(layer.tile is not None for layer in layers)


def algorithm_cell(layer: LayerPlan) -> str:
    """``4x4 +442 kB``; a dash for the direct kernel."""
    return "-" if layer.tile is None else f"{layer.tile}x{layer.tile} +{short_bytes(layer.added_bytes)}"


def added_text(layers: Sequence[LayerPlan]) -> str:
    """What Winograd's algorithm has to do with the size of weights, to stand after it; empty where it has nothing."""
    added = sum(layer.added_bytes for layer in layers if layer.tile is not None)
    return f" ({short_bytes(added)} of it by Winograd's algorithm)" if added > 0 else ""


def algorithm_lines(layers: Sequence[LayerPlan]) -> list[str]:
    """How many layers Winograd's algorithm computes and what that adds; what had no room; what records chose."""
    tiled, kept = [layer for layer in layers if layer.tile is not None], sum(layer.kept_bytes for layer in layers)
    lines = []
    if tiled:
        added = sum(layer.added_bytes for layer in tiled)
        lines.append(
            f"Winograd's algorithm: {_count(len(tiled))}, {short_bytes(added)} of the weights more than by the direct "
            f"kernel ({kept / (kept - added):.2f}x)"
        )
    for limit, count in Counter(layer.limit for layer in layers if layer.limit).items():
        names = [printable(layer.name) for layer in layers if layer.limit == limit]
        more = f" and {count - _NAMED} more" if count > _NAMED else ""
        lines.append(f"smaller weights, not the fastest algorithm ({limit}): {', '.join(names[:_NAMED])}{more}")
    recorded = sum(layer.why.by in RECORDS for layer in layers)
    if recorded:
        lines.append(f"algorithms from records of measurements: {_count(recorded)}")
    return lines


def short(value: float) -> str:
    """Write a number in three digits and a unit of thousands: ``4.09 G``."""
    for unit in ("", "k", "M"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} G" if value < 999.5 else f"{value:.0f} G"


def short_bytes(value: float) -> str:
    """``442 kB``."""
    return f"{short(value)}B"


def _count(layers: int) -> str:
    return f"{layers} layer{'' if layers == 1 else 's'}"
