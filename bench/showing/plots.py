"""Plots from a benchmark's JSON: ``python -m bench.showing.plots results.json --out plots``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from bench.results.reader import read_and, reader
from bench.results.schema import Results
from bench.showing.plot_data import LIMIT, Point, latencies, speed_ups

_SIZE = (6.0, 4.0)  # inches
_MARKS = "osD^vPX*"


def plots(results: Results, folder: Path) -> list[Path]:
    """Write every plot that the results have data for, and say which."""
    folder.mkdir(parents=True, exist_ok=True)
    threads = sorted({cell.cell.threads for cell in results.cells})
    found = []
    for count in threads:
        for net in sorted({cell.cell.net for cell in results.cells}):
            lines = speed_ups(results, net=net, threads=count)
            name = f"speedup_{net}_{count}.svg"
            found.append(_save(folder / name, lines, _speed_up, title=f"{net}, {count} thread(s)"))
        name, title = f"latency_{count}.svg", f"all networks, {count} thread(s)"
        found.append(_save(folder / name, latencies(results, threads=count), _latency, title=title))
    return [path for path in found if path is not None]


def _save(
    path: Path, lines: dict[str, list[Point]], draw: Callable[[Any, dict[str, list[Point]]], None], *, title: str
) -> Path | None:
    """Draw one figure; none without data."""
    if not lines:
        return None
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    draw(axes, lines)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with rc_context({"svg.hashsalt": "bench"}):  # the same results give the same file
        figure.savefig(path, metadata={"Date": None})
    return path


def _speed_up(axes: Any, lines: dict[str, list[Point]]) -> None:
    """Speed-up over the best dense rival by sparsity; error bars are the spread within rounds."""
    limit = lines[LIMIT]
    axes.plot([p.x for p in limit], [p.y for p in limit], color="black", linestyle=":", linewidth=0.8, label=LIMIT)
    measured = [(label, points) for label, points in lines.items() if label != LIMIT]
    for mark, (label, points) in zip(_MARKS, measured, strict=False):
        _spread(axes, points, label, mark=mark, line="-" if len(points) > 1 else "none")
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set(xlabel="pruned blocks, %", ylabel="times faster than the best dense rival", ylim=(0, None))


def _latency(axes: Any, lines: dict[str, list[Point]]) -> None:
    """Time by the time that the kept multiply-adds need at the peak."""
    for mark, (label, points) in zip(_MARKS, lines.items(), strict=False):
        _spread(axes, points, label, mark=mark, line="none")
    ends = [
        min(p.x for points in lines.values() for p in points),
        max(p.x for points in lines.values() for p in points),
    ]
    axes.plot(ends, ends, color="black", linestyle=":", linewidth=0.8, label=LIMIT)
    axes.set(xscale="log", yscale="log", xlabel="limit of the multiply-adds, ms", ylabel="time, ms")


def _spread(axes: Any, points: Sequence[Point], label: str, *, mark: str, line: str) -> None:
    below, above = [max(0.0, p.y - p.low) for p in points], [max(0.0, p.high - p.y) for p in points]
    axes.errorbar(
        [p.x for p in points], [p.y for p in points], yerr=[below, above],
        label=label, marker=mark, markersize=5, linestyle=line, linewidth=1.2, capsize=2,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the plots and print their names."""
    parser = reader("showing.plots", __doc__.partition(":")[0])
    parser.add_argument("--out", type=Path, default=Path("plots"), help="folder for SVG files (default: plots)")
    return read_and(lambda results, o: print(*plots(results, o.out), sep="\n"), parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
