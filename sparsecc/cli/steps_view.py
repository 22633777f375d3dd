"""Time of every step of a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from rich.console import Console

from sparsecc.cli.table import Column, print_table
from sparsecc.cli.units import in_ms
from sparsecc.runtime import Library
from sparsecc.runtime.stored_report import StoredReport

JSON = dict[str, Any]

_COLUMNS = (
    Column("layer", left=True),
    Column("kernel", left=True, drop=2),
    Column("decision", left=True, drop=3),
    Column("ms"),
    Column("share"),
    Column("GFLOP/s", drop=1),
)


def steps_of(library: Library, inputs: Sequence[NDArray[Any]], *, runs: int, by_time: bool) -> list[JSON]:
    """Time every step and join it with what the library's report knows of it."""
    shape = library.shape_of(*(x.shape for x in inputs))
    return joined(library.profile(*inputs, runs=runs), library.report_of(shape), by_time=by_time)


def joined(times: Sequence[tuple[str, float]], stored: StoredReport | None, *, by_time: bool) -> list[JSON]:
    """Key and seconds of every step, with what a report knows of it; the type only where a network has codes."""
    total = sum(seconds for _, seconds in times) or 1.0
    report = stored.read() if stored else None
    kinds = {step["key"]: step["kind"] for step in report.steps} if report else {}
    types = {step["key"]: step["dtype"] for step in report.steps if "dtype" in step} if report else {}
    layers = {layer.key: layer for layer in report.plan.layers} if report else {}
    steps = []
    for key, seconds in times:
        layer = layers.get(key)
        steps.append(
            {
                "key": key,
                "name": layer.name if layer else None,
                "kind": kinds.get(key),
                "decision": layer.decision if layer else None,
                **({"dtype": layer.dtype if layer else types.get(key)} if types else {}),
                "kept_macs": layer.kept_macs if layer else None,
                "median_s": seconds,
                "share": seconds / total,
            }
        )
    return sorted(steps, key=lambda step: -step["median_s"]) if by_time else steps


def print_steps(console: Console, steps: Sequence[JSON]) -> None:
    """Print a line a step, and the sum."""
    rows = [_row(step) for step in steps]
    total = sum(step["median_s"] for step in steps)
    columns: tuple[Column, ...] = _COLUMNS
    rows.append((f"sum of {len(steps)}", "", "", in_ms(total), "100.0%", ""))
    if any("dtype" in step for step in steps):
        columns = (*columns[:2], Column("type", left=True, drop=2), *columns[2:])
        types = [*(step["dtype"] or "-" for step in steps), ""]
        rows = [(*row[:2], kind, *row[2:]) for row, kind in zip(rows, types, strict=True)]
    print_table(console, columns, rows)


def _row(step: JSON) -> tuple[str, ...]:
    macs, seconds = step["kept_macs"], step["median_s"]
    rate = f"{2 * macs / seconds / 1e9:.1f}" if macs and seconds else "-"
    name = step["name"] or step["key"]
    return name, step["kind"] or "-", step["decision"] or "-", in_ms(seconds), f"{step['share']:.1%}", rate
