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


#: what is said of channels that are gone
GONE = (
    "gone: output channels taken out, of how many (c: the same for every input, u: read by nobody). kept, MACs: of all."
)


#: what is said of types
TYPES = "type: what a layer computes with; int8 stands for codes of 8 bits."


def has_codes(layers: Sequence[LayerPlan]) -> bool:
    """Whether a layer computes with codes of 8 bits: then there is a column of types."""
    return any(layer.is_coded for layer in layers)


def type_lines(layers: Sequence[LayerPlan]) -> list[str]:
    """How many layers compute with codes; nothing where none does."""
    coded = sum(layer.is_coded for layer in layers)
    return [f"types: {_count(coded)} of int8, {_count(len(layers) - coded)} of float32"] if coded else []


def has_gone(layers: Sequence[LayerPlan]) -> bool:
    """Whether a layer has fewer channels than it was given with."""
    return any(layer.removed is not None for layer in layers)


def gone_cell(layer: LayerPlan) -> str:
    """``20c+12u/64``; a dash where all output channels are there."""
    gone = layer.removed
    parts = (
        []
        if gone is None
        else [f"{count}{mark}" for count, mark in ((gone.constant, "c"), (gone.unread, "u")) if count]
    )
    return f"{'+'.join(parts)}/{layer.original.oc}" if parts else "-"


def kept_cell(layer: LayerPlan) -> str:
    """Share of a layer that is left; a dash where it is whole."""
    has_zero = layer.structure is not None and layer.structure.has_zero_blocks
    return f"{layer.share:.1%}" if has_zero or layer.removed is not None else "-"


def gone_lines(layers: Sequence[LayerPlan]) -> list[str]:
    """How many channels are gone, and why; nothing where there are none."""
    found = [(layer, layer.removed) for layer in layers if layer.removed is not None]
    if not found:
        return []
    constant, unread = (
        sum(values) for values in zip(*((gone.constant, gone.unread) for _, gone in found), strict=True)
    )
    channels = sum(layer.original.oc for layer in layers)
    before, after = (sum(spec.macs for spec in specs) for specs in (
        [layer.original for layer in layers], [layer.spec for layer in layers]
    ))  # fmt: skip
    return [
        f"channels gone: {constant + unread} of {channels}, in {_count(len(found))}; {constant} the same for every "
        f"input, {unread} read by nobody; {after / before:.1%} of the multiply-adds left"
    ]


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
    """What is gone; how many layers Winograd's algorithm computes, and what that adds; what had no room; records."""
    tiled, kept = [layer for layer in layers if layer.tile is not None], sum(layer.kept_bytes for layer in layers)
    lines = [*type_lines(layers), *gone_lines(layers)]
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
