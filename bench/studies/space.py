"""How far the cost model's configs are from the best: ``python -m bench.studies.space``.

Every distinct kernel of a network is measured with all legal configs whose predicted time is not hopeless, with the
layer's real weights, indices and layouts, each in turns with the cost model's. The fastest ones are then measured again
in more rounds, for the fastest of so many noisy figures is partly luck.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.cells.grid import NETWORKS
from bench.cells.prepare import pruned_net
from bench.command import add_patterns, parser_of
from bench.results.schema import Cell
from bench.showing.markdown import percent, table
from bench.studies.kernels import kernels_of
from bench.studies.layer_search import in_words
from sparsecc.kernels.config import Config
from sparsecc.target import Target
from sparsecc.target.native.calibrate import resolve_here
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.tasks import KernelTask, Task
from sparsecc.tuning.timing import Timing

_HOPELESS = 1.6  # times the least predicted time: no layer's best was beyond
_FINALISTS, _QUICK, _ROUNDS, _BATCH = 4, 3, 21, 32


@dataclass(frozen=True)
class Found:
    """One distinct kernel: how often a network has it, microseconds of the cost model's config and of the best."""

    key: str
    count: int
    configs: int
    picked: str
    picked_us: float
    best: str
    best_us: float

    @property
    def excess(self) -> float:
        """Time of the picked config above the best one's, as a share."""
        return self.picked_us / self.best_us - 1


def tasks_of(cell: Cell, target: Target) -> list[KernelTask]:
    """The distinct kernels of a cell's network."""
    model, _ = pruned_net(cell)
    return kernels_of(model, target, size=cell.size)


def measure(task: Task, candidates: Sequence[Config], *, rounds: int) -> dict[Config, Timing]:
    """Timings of configs, those that fail left out."""
    found: dict[Config, Timing] = {}
    default = task.choice.default
    for start in range(0, len(candidates), _BATCH):
        batch = [default, *(c for c in candidates[start : start + _BATCH] if c != default)]
        for config, outcome in CommandRunner().measure(task, batch, threads=1, rounds=rounds):
            if isinstance(outcome, Timing):
                found[config] = outcome
    return found


def search(task: Task) -> Found:
    """The best config of a task's space."""
    default, predict = task.choice.default, task.choice.predict
    least = predict(default)
    worth = [c for c in task.space if least is None or (predict(c) or least) <= _HOPELESS * least]
    quick = measure(task, worth, rounds=_QUICK)
    finalists = sorted(quick, key=lambda config: quick[config].relative)[:_FINALISTS]
    times = measure(task, [default, *finalists], rounds=_ROUNDS)
    best = min(times, key=lambda config: times[config].relative)
    default_us = times[best].default_us
    best_us = min(default_us, times[best].us)
    return Found(
        task.names[0], len(task.names), len(worth), in_words(default), default_us,
        in_words(best if best_us < default_us else default), best_us,
    )  # fmt: skip


def _summary(cell: Cell, found: Sequence[Found]) -> list[str]:
    picked, best = sum(f.count * f.picked_us for f in found), sum(f.count * f.best_us for f in found)
    worst = max(found, key=lambda f: f.excess)
    beyond = sum(f.excess > 0.1 for f in found)
    name, slowest = f"{cell.net}, {cell.pattern}", f"{percent(worst.excess)}, {worst.key}"
    counts = [f"{len(found)}", f"{sum(f.configs for f in found)}"]
    times = [f"{picked / 1e3:.2f}", f"{best / 1e3:.2f}", percent(picked / best - 1, digits=1)]
    return [name, *counts, *times, f"{beyond}", slowest]


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, print a table, write all figures."""
    p = parser_of("studies.space", "The cost model's configs against the best.")
    p.add_argument("--nets", nargs="+", default=NETWORKS, metavar="NET")
    add_patterns(p, sparsity=(0.0, 0.75))
    p.add_argument("--target", default="native")
    p.add_argument("--out", default="space.json")
    options = p.parse_args(arguments)
    (target, _), all_found, lines = resolve_here(options.target), {}, []
    for cell in _cells(options):
        found = [search(task) for task in tasks_of(cell, target) if len(task.space) > 1]
        lines.append(_summary(cell, found))
        all_found[lines[-1][0]] = [asdict(f) for f in found]
        print(" | ".join(lines[-1]), flush=True)
        Path(options.out).write_text(json.dumps(all_found, indent=1))
    print(table(["network", "kernels", "configs", "ms", "best, ms", "above it", "over 10 %", "worst"], lines))
    return 0


def _cells(options: argparse.Namespace) -> Iterator[Cell]:
    for net in options.nets:
        for sparsity in options.sparsity:
            for n in options.n if sparsity else [1]:
                yield Cell(net=net, n=n, sparsity=sparsity, threads=1)


if __name__ == "__main__":
    raise SystemExit(main())
