"""The command line of the benchmark: which grid, by which rules."""

from __future__ import annotations

import argparse
import os

from nets import NETS

from bench.cells.grid import NETWORKS, Grid
from bench.command import add_patterns, add_shape
from bench.results.schema import Rules
from bench.rivals import RIVALS
from bench.rivals.environments import is_set_up

_CHOICE = tuple(name for name, rival in RIVALS.items() if not rival.ours)
# two rounds of a few runs: shows that everything works, says nothing about speed
QUICK = {"rounds": 2, "warm_s": 0.02, "run_s": 0.05, "min_runs": 3, "patience": 1}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench", description="Pruned networks compiled by sparsecc against other engines, interleaved."
    )
    p.add_argument(
        "--nets", nargs="+", default=NETWORKS, choices=sorted(NETS), metavar="NET", help="from examples/nets"
    )
    add_patterns(p, sparsity=(0.0, 0.5, 0.75, 0.9))
    p.add_argument("--threads", nargs="+", type=int, default=_threads(), help="(default: 1 2)")
    add_rivals(p)
    p.add_argument("--carried", type=int, default=2, help="fastest dense rivals in pruned cells (default: 2)")
    p.add_argument("--rounds", type=int, help=f"that count (default: {Rules.rounds})")
    p.add_argument("--out", default="results.json", help="cells that it has are not measured again (results.json)")
    p.add_argument("--anew", action="store_true", help="forget what is in --out")
    p.add_argument("--estimate", action="store_true", help="only say what would be measured and how long it takes")
    p.add_argument("--quick", action="store_true", help="few and short rounds, to see that it works")
    add_shape(p)
    return p


def add_rivals(parser: argparse.ArgumentParser) -> None:
    """``--rivals``: who takes part beside sparsecc."""
    parser.add_argument(
        "--rivals",
        nargs="*",
        default=["all"],
        choices=["all", *_CHOICE],
        metavar="RIVAL",
        help=f"all that are set up, or some of {', '.join(_CHOICE)} (default: all)",
    )


def rules_of(options: argparse.Namespace) -> Rules:
    """Rules as the options say."""
    chosen = dict(QUICK) if options.quick else {}
    return Rules(**chosen | ({"rounds": options.rounds} if options.rounds else {}))


def grid_of(options: argparse.Namespace) -> Grid:
    """The grid as the options say."""
    return Grid(
        nets=tuple(options.nets),
        blocks=tuple(options.n),
        sparsities=tuple(options.sparsity),
        threads=tuple(options.threads),
        rivals=rivals_of(options),
        carried=options.carried,
        width=options.width,
        size=options.size,
    )


def rivals_of(options: argparse.Namespace) -> tuple[str, ...]:
    """Those that are named, or all that are set up."""
    if "all" not in options.rivals:
        return tuple(name for name in _CHOICE if name in options.rivals)
    return tuple(name for name in _CHOICE if is_set_up(RIVALS[name].environment))


def left_out(options: argparse.Namespace) -> list[str]:
    """Rivals of ``all`` that are not set up."""
    return sorted(set(_CHOICE) - set(rivals_of(options))) if "all" in options.rivals else []


def _threads() -> list[int]:
    return [1, 2] if len(os.sched_getaffinity(0)) > 1 else [1]
