"""Networks pruned by whole filters next to the smaller ones built by hand: ``python -m bench.studies.structured``.

Both are compiled and run by one thread, in turns; a ratio is that of a round's medians. Exit code 1 unless every
network is as fast as its smaller one, but for 3 %, and right.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

import sparsecc
from bench.command import add_shape, parser_of, tell
from bench.showing.markdown import table
from bench.studies.by_hand import NAMES, smaller, structured

#: of the smaller network's speed; of the largest result
LEAST, MOST_ERROR = 0.97, 1e-4
_HEAD = ("network", "filters pruned", "batch norm's shift", "as given, ms", "by hand, ms", "speed of by hand", "error")


@dataclass(frozen=True)
class Pair:
    """A network and its smaller one, compiled."""

    name: str
    amount: float
    smallest: bool
    shift: bool
    error: float
    paths: tuple[Path, Path]

    @property
    def words(self) -> tuple[str, str, str]:
        """Network, pruning, batch norm."""
        which = "smallest" if self.smallest else "random"
        return self.name, f"{100 * self.amount:g} %, {which}", "yes" if self.shift else "no"


def build(pair: tuple[str, float, bool, bool], folder: Path, *, width: float, size: int) -> Pair:
    """Compile both; the first is held against PyTorch."""
    name, amount, smallest, shift = pair
    model = structured(name, amount, smallest=smallest, shift=shift, width=width)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    stem = f"{name}_{amount:g}_{smallest}_{shift}"
    paths = folder / f"{stem}_given.so", folder / f"{stem}_hand.so"
    given = sparsecc.compile(model, example_inputs=(x,), threads=1)
    given.save(paths[0])
    _compiled(smaller(model), x).save(paths[1])
    return Pair(*pair, given.report.error or 0.0, paths)


def _compiled(model: nn.Module, x: torch.Tensor) -> sparsecc.CompiledLibrary:
    return sparsecc.compile(model, example_inputs=(x,), threads=1)


def times(pair: Pair, *, size: int, rounds: int, runs: int) -> tuple[list[float], list[float]]:
    """Medians of every round, ms."""
    libraries = [sparsecc.load(path, threads=1) for path in pair.paths]
    x = np.zeros((1, 3, size, size), np.float32)
    found: tuple[list[float], list[float]] = [], []
    for turn in range(rounds + 1):
        for library, own in zip(libraries, found, strict=True):
            taken = []
            for _ in range(runs):
                start = time.perf_counter()
                library(x)
                taken.append(1e3 * (time.perf_counter() - start))
            if turn:  # the first round warms up
                own.append(median(taken))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, take turns, show; exit code 1 if an aim is missed."""
    parser = parser_of("studies.structured", "Networks pruned by whole filters, next to smaller ones built by hand.")
    add_shape(parser)
    parser.add_argument("--nets", nargs="+", default=list(NAMES), choices=NAMES)
    parser.add_argument("--amounts", nargs="+", type=float, default=[0.3, 0.5], help="share of filters")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=5, help="of a round (default: 5)")
    parser.add_argument("--folder", type=Path, help="keep libraries there, and use those that are there already")
    parser.add_argument("--build-only", action="store_true", help="measure nothing: for another process to do it")
    o = parser.parse_args(arguments)
    lines, failures = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = o.folder or Path(temporary)
        for name, amount, smallest, shift in product(o.nets, o.amounts, (True, False), (False, True)):
            tell(f"{name}, {amount:g}, {'smallest' if smallest else 'random'}, shift {shift}")
            pair = _kept((name, amount, smallest, shift), folder, width=o.width, size=o.size)
            if o.build_only:
                continue
            given, hand = times(pair, size=o.size, rounds=o.rounds, runs=o.runs)
            ratio = median(b / a for a, b in zip(given, hand, strict=True))
            error, words = f"{pair.error:.1e}", ", ".join(pair.words)
            lines.append([*pair.words, f"{median(given):.2f}", f"{median(hand):.2f}", f"{ratio:.2f}", error])
            if ratio < LEAST or pair.error > MOST_ERROR:
                failures.append(f"{words}: {ratio:.3f} of the smaller network's speed, error {error}")
    print(table(_HEAD, lines))
    print("\n".join(f"missed: {text}" for text in failures) or "all aims met")
    return bool(failures)


def _kept(pair: tuple[str, float, bool, bool], folder: Path, *, width: float, size: int) -> Pair:
    """Those of an earlier run, if they are there."""
    name, amount, smallest, shift = pair
    stem = f"{name}_{amount:g}_{smallest}_{shift}"
    paths, error = (folder / f"{stem}_given.so", folder / f"{stem}_hand.so"), folder / f"{stem}_error.txt"
    if error.exists():
        return Pair(*pair, float(error.read_text()), paths)
    made = build(pair, folder, width=width, size=size)
    error.write_text(str(made.error))
    return made


if __name__ == "__main__":
    sys.exit(main())
