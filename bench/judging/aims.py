"""What sparsecc is meant to reach, as functions from results to verdicts.

Ratios come from within rounds. An aim for one thread looks at cells with one thread only; where nothing is said of
threads, one thread is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.judging.breakeven import break_even
from bench.results.schema import MAX_ERROR, CellResult, Results
from bench.results.stats import Spread
from bench.results.summary import OURS, OURS_ONE_THREAD, Row, Summary, best_bar, dense_ratio, ratio, rows_of, summaries
from bench.showing.markdown import cell_name, number, percent

OVER_SPARSE = {0.5: 1.3, 0.75: 1.4, 0.9: 1.6}
SHARES = {
    "mobilenet_v1": {0.5: 0.75, 0.75: 0.70, 0.9: 0.60},
    "mobilenet_v2": {0.5: 0.65, 0.75: 0.60, 0.9: 0.50},
    "resnet18": {0.5: 0.80, 0.75: 0.80, 0.9: 0.70},
    "resnet50": {0.5: 0.80, 0.75: 0.80, 0.9: 0.70},
}
DENSE_SPEED = 1 / 1.05  # of the best dense rival's: at most 5 % slower
BREAK_EVEN = {"mobilenet_v1": 0.10, "mobilenet_v2": 0.10, "resnet18": 0.40, "resnet50": 0.10}
THREADS_FROM_MS = 3.0
THREADS_GAIN = {"near": 1.8, "far": 1.5}
MAX_SECONDS, MAX_PEAK_BYTES = 60.0, 4 << 30  # of a compilation


@dataclass(frozen=True)
class Verdict:
    """One aim in one place.

    Attributes
    ----------
    aim, where : str
    found, wanted : str
        Figures, with what they are.
    met : bool or None
        None when the results can't tell.
    cell : CellResult or None
        Whose steps explain it.
    """

    aim: str
    where: str
    found: str
    wanted: str
    met: bool | None
    cell: CellResult | None = None


def verdicts(results: Results) -> list[Verdict]:
    """Every aim in every cell or network that it is about and that was measured."""
    rows = rows_of(results)
    single = [(cell, s) for cell, s in rows if cell.cell.threads == 1]
    pruned = [(cell, s) for cell, s in single if not cell.cell.is_dense]
    return [
        *(_right(cell) for cell in results.cells),
        *(verdict for cell, s in pruned for verdict in _faster(cell, s)),
        *(verdict for cell, s in pruned for verdict in _share(cell, s)),
        *(_dense(cell, s) for cell, s in single if cell.cell.is_dense),
        *_break_even(pruned),
        *(verdict for cell in results.cells for verdict in _threads(cell, results)),
        *(verdict for cell in results.cells for verdict in _build(cell)),
    ]


def _right(cell: CellResult) -> Verdict:
    """All of ours in a cell."""
    ours = [p for p in cell.participants if p.ours]
    problems = [f"{p.label}: {p.problem}" for p in ours if p.problem]
    found = "; ".join(problems) or f"error {max(p.error or 0.0 for p in ours):.1e}"
    wanted = f"error <= {MAX_ERROR:g}"
    return Verdict("results are right", cell_name(cell), found, wanted, all(p.is_bar for p in ours), cell)


def _faster(cell: CellResult, s: Summary) -> Iterator[Verdict]:
    """Above the best sparse rival by so much, above the best dense one at all."""
    for zeros, wanted in ((True, OVER_SPARSE.get(cell.cell.sparsity)), (False, 1.0)):
        if wanted is None:
            continue
        best = best_bar(cell, s, uses_zeros=zeros)
        found = s.faster.get(best.name) if best else None
        aim = f"faster than the best {'sparse' if zeros else 'dense'} rival"
        yield _at_least(aim, cell, s, found, wanted, f", {best.label}" if best else "")


def _share(cell: CellResult, s: Summary) -> Iterator[Verdict]:
    wanted = SHARES.get(cell.cell.net, {}).get(cell.cell.sparsity)
    if wanted is not None:
        share = s.share_of_limit if OURS in {p.name for p in cell.participants if p.is_bar} else None
        found = "not measured" if share is None else percent(share)
        met = None if share is None else share >= wanted
        yield Verdict("share of the limit", cell_name(cell, s), found, f">= {percent(wanted)}", met, cell)


def _dense(cell: CellResult, s: Summary) -> Verdict:
    best = best_bar(cell, s, uses_zeros=False)
    label = f", {best.label}" if best else ""
    aim = "dense at most 5 % slower than the best dense rival"
    return _at_least(aim, cell, s, dense_ratio(cell, s), DENSE_SPEED, label)


def _break_even(pruned: Sequence[Row]) -> Iterator[Verdict]:
    """For every network and block."""
    for net, n in sorted({(cell.cell.net, cell.cell.n) for cell, _ in pruned if cell.cell.net in BREAK_EVEN}):
        found, wanted = (
            break_even([row for row in pruned if (row[0].cell.net, row[0].cell.n) == (net, n)]),
            BREAK_EVEN[net],
        )
        text = "not measured" if found is None else f"at {percent(found)} pruned"
        met = None if found is None else found <= wanted
        yield Verdict("break-even with our own dense", f"{net}, 1x{n}", text, f"<= {percent(wanted)}", met)


def _threads(cell: CellResult, results: Results) -> Iterator[Verdict]:
    """Two threads against one in cells that are long enough to gain, wherever the cores were."""
    one = [played.ms[OURS_ONE_THREAD] for played in cell.rounds if OURS_ONE_THREAD in played.ms]
    if cell.cell.threads != 2 or not one or median(one) <= THREADS_FROM_MS:
        return
    seen = {s.place: s for s in summaries(cell, results)}
    for place, wanted in THREADS_GAIN.items():
        found = ratio(cell, seen[place], OURS_ONE_THREAD, OURS) if place in seen else None
        yield _at_least(f"two threads faster than one, cores {place}", cell, None, found, wanted)


def _build(cell: CellResult) -> Iterator[Verdict]:
    """Compiling the largest of the networks."""
    for p in cell.participants:
        if cell.cell.net == "resnet50" and cell.cell.threads == 1 and p.name == OURS and p.convert_s:
            found = f"{p.convert_s:.0f} s, {p.peak_bytes / 1e9:.1f} GB"
            met = p.convert_s < MAX_SECONDS and p.peak_bytes < MAX_PEAK_BYTES
            wanted = f"< {MAX_SECONDS:.0f} s, < {MAX_PEAK_BYTES / 1e9:.1f} GB"
            yield Verdict("compile time and memory", cell_name(cell), found, wanted, met)


def _at_least(
    aim: str, cell: CellResult, s: Summary | None, found: Spread | None, wanted: float, label: str = ""
) -> Verdict:
    if found is None:
        return Verdict(aim, cell_name(cell, s), "not measured", f">= {wanted:.2f}", None, cell)
    text = f"{number(found)}{label}"
    return Verdict(aim, cell_name(cell, s), text, f">= {wanted:.2f}", found.median >= wanted, cell)
