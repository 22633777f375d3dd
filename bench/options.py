"""The command line of the benchmark: which grid, by which rules."""

from __future__ import annotations

import argparse
import os

from nets import NETS

from bench.environments import is_set_up
from bench.grid import Grid
from bench.results import Rules
from bench.rivals import RIVALS

GRID_NETS = ("mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50")
_CHOICE = tuple(name for name, rival in RIVALS.items() if not rival.ours)
# two rounds of a few runs: shows that everything works, says nothing about speed
QUICK = {"rounds": 2, "warm_s": 0.02, "run_s": 0.05, "min_runs": 3, "patience": 1}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench", description="Pruned networks compiled by sparsecc against other engines, interleaved."
    )
    p.add_argument(
        "--nets", nargs="+", default=GRID_NETS, choices=sorted(NETS), metavar="NET", help="from examples/nets"
    )
    p.add_argument("--n", nargs="+", type=int, default=[4, 16], help="output channels of a block (default: 4 16)")
    p.add_argument(
        "--sparsity",
        nargs="+",
        type=_share,
        default=[0.0, 0.5, 0.75, 0.9],
        help="share of pruned blocks; 0 is the dense network (default: 0 0.5 0.75 0.9)",
    )
    p.add_argument("--threads", nargs="+", type=int, default=_threads(), help="(default: 1 2)")
    p.add_argument(
        "--rivals",
        nargs="*",
        default=["all"],
        choices=["all", *_CHOICE],
        metavar="RIVAL",
        help=f"all that are set up, or some of {', '.join(_CHOICE)} (default: all)",
    )
    p.add_argument("--carried", type=int, default=2, help="fastest dense rivals in pruned cells (default: 2)")
    p.add_argument("--rounds", type=int, help=f"that count (default: {Rules.rounds})")
    p.add_argument("--out", default="results.json", help="cells that it has are not measured again (results.json)")
    p.add_argument("--anew", action="store_true", help="forget what is in --out")
    p.add_argument("--estimate", action="store_true", help="only say what would be measured and how long it takes")
    p.add_argument("--quick", action="store_true", help="few and short rounds, to see that it works")
    p.add_argument("--width", type=float, default=1.0, help="scales the channels, for tests (default: 1)")
    p.add_argument("--size", type=int, default=224, help="pixels of a side, for tests (default: 224)")
    return p


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


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected a share from 0 to below 1")
    return share
