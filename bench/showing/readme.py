"""The README's table from a benchmark's JSON: ``python -m bench.showing.readme results.json``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench.results.reader import read_and, reader
from bench.results.schema import CellResult, Results
from bench.results.stats import Spread
from bench.results.summary import OURS, OURS_DENSE, Summary, best_bar, dense_ratio, rows_of
from bench.showing.markdown import bold_loss, number, percent, table
from bench.showing.tables import ordered

_NAMES = {
    "mobilenet_v1": "MobileNet-V1",
    "mobilenet_v2": "MobileNet-V2",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
}
_HEAD = ["net", "pattern", "sparsecc, ms", "best dense engine, ms", "faster than it"]
_HEAD += ["MNN, sparse, ms", "faster than it", "share of the limit"]


def readme_table(results: Results, *, threads: int = 1) -> str:
    """Every cell on so many threads, in few columns."""
    body, last = [], ""
    cells = ordered([c for c in results.cells if c.cell.threads == threads])
    for cell, s in ((cell, s) for cell, s in rows_of(results, cells) if s.place in ("any", "near")):
        net = _NAMES.get(cell.cell.net, cell.cell.net)
        body.append([net if net != last else "", *_columns(cell, s)])
        last = net
    return table(_HEAD, body)


def _columns(cell: CellResult, s: Summary) -> list[str]:
    dense = cell.cell.is_dense
    name = OURS_DENSE if dense else OURS
    pattern = "dense" if dense else f"1x{cell.cell.n}, {100 * cell.cell.sparsity:g} %"
    share = s.dense_share_of_limit if dense else s.share_of_limit
    best, sparse = best_bar(cell, s, uses_zeros=False), best_bar(cell, s, uses_zeros=True)
    against = dense_ratio(cell, s) if dense else s.faster.get(best.name) if best else None
    return [
        pattern,
        number(s.ms[name]) if name in s.ms else "",
        f"{s.ms[best.name].median:.2f}, {best.label}" if best else "",
        _times(against),
        f"{s.ms[sparse.name].median:.2f}" if sparse and not dense else "",
        _times(s.faster.get(sparse.name)) if sparse and not dense else "",
        percent(share),
    ]


def _times(found: Spread | None) -> str:
    return "" if found is None else bold_loss(found, f"{found.median:.2f}x ({found.p10:.2f} to {found.p90:.2f})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of a file."""
    parser = reader("showing.readme", "The README's table from results.")
    parser.add_argument("--threads", type=int, default=1)
    return read_and(lambda results, o: print(readme_table(results, threads=o.threads)), parser, arguments)


if __name__ == "__main__":
    sys.exit(main())
