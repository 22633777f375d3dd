"""A plan or report for people: a line a layer, reasons as numbered notes, totals."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan
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
)
from sparsecc.analyse.table import indices_text
from sparsecc.cli.console import say
from sparsecc.cli.table import Cell, Column, legend, print_table
from sparsecc.cli.units import shape_text
from sparsecc.report import Report
from sparsecc.text import in_bytes, short

_COLUMNS = (
    Column("layer", left=True),
    Column("kind", left=True, drop=3),
    Column("weight"),
    Column("output", drop=2),
    Column("N"),
    Column("kept"),
    Column("per row", drop=4),
    Column("MACs", drop=1),
    Column("speed-up"),
    Column("decision", left=True),
)
_LEGEND = {
    "N": "N: output channels of a block (r: rows rearranged, u: equal counts in each row, t: one tap a block).",
    "kept": "kept: share of blocks.",
    "per row": "per row: fewest/median/most kept blocks.",
    "MACs": "MACs: multiply-adds when dense.",
    "speed-up": "speed-up: predicted, over dense; with Winograd's algorithm, over the direct kernel.",
    "algorithm": LEGEND,
    "gone": GONE,
    "type": TYPES,
}


def print_plan(console: Console, plan: Plan) -> None:
    """Print the table of layers, what its columns mean, why layers are dense, and totals."""
    dense = Counter(layer.reason for layer in plan.layers if layer.decision == "dense")
    reasons = list(dense)
    columns: tuple[Column, ...] = _COLUMNS
    rows = [_row(layer, reasons=reasons) for layer in plan.layers]
    if has_tiles(plan.layers):
        columns = (*columns[:-1], Column("algorithm", drop=5), columns[-1])
        rows = [(*row[:-1], algorithm_cell(layer), row[-1]) for row, layer in zip(rows, plan.layers, strict=True)]
    if has_gone(plan.layers):
        columns = (*columns[:4], Column("gone", drop=6), *columns[4:])
        rows = [(*row[:4], gone_cell(layer), *row[4:]) for row, layer in zip(rows, plan.layers, strict=True)]
    if has_codes(plan.layers):
        columns = (*columns[:2], Column("type", left=True, drop=1), *columns[2:])
        rows = [(*row[:2], layer.dtype, *row[2:]) for row, layer in zip(rows, plan.layers, strict=True)]
    shown = print_table(console, columns, rows)
    say(console)
    for line in textwrap.wrap(legend(_LEGEND, shown), console.width):
        say(console, line, style="dim")
    say(console)
    for number, reason in enumerate(reasons, start=1):
        say(console, f"[{number}] {reason} ({_layers(dense[reason])})")
    _print_totals(console, plan)


def chosen_by_text(report: Report) -> str:
    """By what the configs of kernels with knobs were chosen."""
    by = Counter(step.get("chosen_by", "") for step in report.steps)
    parts = [f"{by[how]} by {how}" for how in ("record", "nearest record", "cost model") if by[how]]
    return f"configs of kernels chosen: {', '.join(parts) or 'none'}"


def _row(layer: LayerPlan, *, reasons: Sequence[str]) -> tuple[Cell, ...]:
    spec, found = layer.spec, layer.structure
    block_n = per_row = "-"
    if found is not None and found.has_zero_blocks:
        low, median, high = found.counts
        block_n, per_row = found.label, f"{low}/{median:.0f}/{high}"
    sparse = layer.decision == "sparse"
    decision = "sparse" if sparse else f"dense [{reasons.index(layer.reason) + 1}]"
    return (
        layer.name,
        layer.kind,
        shape_text(spec.weight_shape),
        f"{spec.oh}x{spec.ow}",
        block_n,
        kept_cell(layer),
        per_row,
        short(layer.original.macs),
        "-" if layer.predicted is None else f"{layer.predicted:.2f}x",
        Text(decision, style="green" if sparse else "dim"),
    )


def _print_totals(console: Console, plan: Plan) -> None:
    totals = plan.totals
    sparse = sum(layer.decision == "sparse" for layer in plan.layers)
    share = totals.kept_macs / totals.dense_macs if totals.dense_macs else 1.0
    say(console)
    say(console, f"{_layers(len(plan.layers))}: {sparse} sparse, {len(plan.layers) - sparse} dense", style="bold")
    say(console, f"multiply-adds: {short(totals.dense_macs)} dense, {short(totals.kept_macs)} kept ({share:.1%})")
    dense, kept = in_bytes(totals.dense_bytes), in_bytes(totals.kept_bytes)
    say(console, f"weights: {dense} dense, {kept} kept{added_text(plan.layers)}, {indices_text(plan.layers)}")
    for line in algorithm_lines(plan.layers):
        say(console, line)


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"
