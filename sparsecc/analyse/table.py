"""A plan as text: one line a layer, reasons as numbered notes, totals below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sparsecc.analyse.decide import times
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.said import (
    GONE,
    LEGEND,
    TYPES,
    added_text,
    algorithm_cell,
    algorithm_lines,
    gone_cell,
    has_codes,
    has_gone,
    has_tiles,
    kept_cell,
    short,
)
from sparsecc.text import printable

_WIDTH = 120
_HEAD = ("layer", "kind", "weight", "output", "N", "kept", "per row", "MACs", "speed", "decision")
_LEFT = ("layer", "kind", "type", "decision")
_LEGEND = (
    "N: output channels a block, r: rows rearranged, u: equal counts a row, t: one tap a block. "
    "kept: share of blocks.\n"
    "per row: fewest/median/most kept blocks. speed: predicted, over dense; with Winograd, over the direct kernel."
)


def plan_table(layers: Sequence[LayerPlan], *, macs: tuple[int, int], nbytes: tuple[int, int]) -> str:
    """Write the table of a plan, at most 120 columns wide.

    Parameters
    ----------
    layers : sequence of LayerPlan
        One line each.
    macs, nbytes : tuple of int
        Totals of multiply-adds and of bytes of weights, dense and as decided.
    """
    reasons = list(dict.fromkeys(layer.reason for layer in layers if layer.decision == "dense"))
    notes = [f"[{number}] {reason}" for number, reason in enumerate(reasons, start=1)]
    head: tuple[str, ...] = _HEAD
    rows, legend = [_row(layer, reasons=reasons) for layer in layers], [_LEGEND]
    if has_tiles(layers):
        head, legend = (*head[:-1], "algorithm", head[-1]), [_LEGEND, LEGEND]
        rows = [(*row[:-1], algorithm_cell(layer), row[-1]) for row, layer in zip(rows, layers, strict=True)]
    if has_gone(layers):
        head, legend = (*head[:4], "gone", *head[4:]), [*legend, GONE]
        rows = [(*row[:4], gone_cell(layer), *row[4:]) for row, layer in zip(rows, layers, strict=True)]
    if has_codes(layers):
        head, legend = (*head[:2], "type", *head[2:]), [*legend, TYPES]
        rows = [(*row[:2], layer.dtype, *row[2:]) for row, layer in zip(rows, layers, strict=True)]
    totals = [*_totals(layers, macs=macs, nbytes=nbytes), *algorithm_lines(layers)]
    return "\n".join([_align(head, rows), "", *legend, *notes, *_warnings(layers), "", *totals])


def _row(layer: LayerPlan, *, reasons: Sequence[str]) -> tuple[str, ...]:
    spec, found = layer.spec, layer.structure
    block_n = per_row = "-"
    if found is not None and found.has_zero_blocks:
        low, median, high = found.counts
        block_n, per_row = found.label, f"{low}/{median:.0f}/{high}"
    return (
        printable(layer.name),
        layer.kind,
        "x".join(map(str, spec.weight_shape)),
        f"{spec.oh}x{spec.ow}",
        block_n,
        kept_cell(layer),
        per_row,
        short(layer.original.macs),
        "-" if layer.predicted is None else times(layer.predicted),
        "sparse" if layer.decision == "sparse" else f"dense [{reasons.index(layer.reason) + 1}]",
    )


def _align(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    widths[0] = min(widths[0], _WIDTH - sum(widths[1:]) - 2 * (len(widths) - 1))
    columns[0] = tuple(_cut(name, widest=widths[0]) for name in columns[0])
    cells = [
        [cell.ljust(width) if column[0] in _LEFT else cell.rjust(width) for cell in column]
        for column, width in zip(columns, widths, strict=True)
    ]
    lines = ["  ".join(line).rstrip() for line in zip(*cells, strict=True)]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _warnings(layers: Sequence[LayerPlan]) -> list[str]:
    lines = []
    for layer in layers:
        if layer.structure and layer.structure.non_finite:
            lines.append(f"{printable(layer.name)}: weights that are NaN or Inf: {layer.structure.non_finite}")
        if layer.structure and layer.structure.denormal:
            lines.append(f"{printable(layer.name)}: denormal weights, kept as nonzero: {layer.structure.denormal}")
    return lines


def _totals(layers: Sequence[LayerPlan], *, macs: tuple[int, int], nbytes: tuple[int, int]) -> list[str]:
    sparse = sum(layer.decision == "sparse" for layer in layers)
    share = macs[1] / macs[0] if macs[0] else 1.0
    return [
        f"{len(layers)} layers: {sparse} sparse, {len(layers) - sparse} dense",
        f"multiply-adds: {short(macs[0])} dense, {short(macs[1])} kept ({share:.1%})",
        f"weights: {short(nbytes[0])}B dense, {short(nbytes[1])}B kept{added_text(layers)}, {indices_text(layers)}",
    ]


def indices_text(layers: Sequence[LayerPlan]) -> str:
    """Say what of the kept bytes are indices, and in which formats."""
    sparse = [layer for layer in layers if layer.kept is not None]
    nbytes = sum(layer.index_bytes * layer.kept.nnzb for layer in sparse if layer.kept)
    count = Counter(8 * layer.index_bytes for layer in sparse)
    formats = ", ".join(f"{bits} bit in {_layers(count[bits])}" for bits in sorted(count))
    return f"{short(nbytes)}B of it indices ({formats})" if sparse else "no indices"


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"


def _cut(text: str, *, widest: int) -> str:
    """Cut the middle out of a long text: names tell most at their ends."""
    if len(text) <= widest:
        return text
    head = (widest - 2) // 2
    return text[:head] + ".." + text[head + 2 - widest :]
