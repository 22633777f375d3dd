"""Pruned networks compiled by sparsecc against ONNX Runtime, interleaved: ``python -m bench.against_onnxruntime``."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence

from nets import NETS

from bench.results import Cell, Rules
from bench.rivals import RIVALS
from bench.session import measure
from bench.tables import tables

_PARTICIPANTS = ("sparsecc", "sparsecc_dense", "onnxruntime")
# two rounds of a few runs: shows that everything works, says nothing about speed
_QUICK = {"rounds": 2, "warm_s": 0.02, "run_s": 0.05, "min_runs": 3, "patience": 1}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m bench.against_onnxruntime", description=__doc__.partition(":")[0])
    p.add_argument(
        "--nets",
        nargs="+",
        default=["mobilenet_v1", "resnet50"],
        choices=sorted(NETS),
        metavar="NET",
        help="from examples/nets",
    )
    p.add_argument("--n", nargs="+", type=int, default=[16], help="output channels of a block (default: 16)")
    p.add_argument("--sparsity", nargs="+", type=float, default=[0.75], help="share of pruned blocks (default: 0.75)")
    p.add_argument("--threads", nargs="+", type=int, default=[1], help="for every participant (default: 1)")
    p.add_argument("--rivals", nargs="*", choices=sorted(set(RIVALS) - set(_PARTICIPANTS)), default=[], help="more")
    p.add_argument("--rounds", type=int, help=f"that count (default: {Rules.rounds})")
    p.add_argument("--out", default="results.json", help="where results go (default: results.json)")
    p.add_argument("--quick", action="store_true", help="few and short rounds, to see that it works")
    p.add_argument("--width", type=float, default=1.0, help="scales the channels, for tests (default: 1)")
    p.add_argument("--size", type=int, default=224, help="pixels of a side, for tests (default: 224)")
    return p


def rules_of(options: argparse.Namespace) -> Rules:
    """Rules as the options say."""
    chosen = dict(_QUICK) if options.quick else {}
    return Rules(**chosen | ({"rounds": options.rounds} if options.rounds else {}))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the results after each cell, print the tables; exit code 1 when a result of ours is wrong."""
    options = parser().parse_args(arguments)
    grid = itertools.product(options.nets, options.n, options.sparsity, options.threads)
    cells = [Cell(*cell, width=options.width, size=options.size) for cell in grid]
    names = [*_PARTICIPANTS, *options.rivals]
    open(options.out, "a").close()  # better to know before the work that it can't be written
    for results in measure(cells, names, rules_of(options), quick=options.quick, tell=_tell):
        results.save(options.out)
    print(tables(results))
    return int(any(p.ours and not p.is_bar for cell in results.cells for p in cell.participants))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
