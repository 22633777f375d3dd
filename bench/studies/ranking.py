"""What ranking saves: ``python -m bench.studies.ranking``.

The whole space of some layers is measured, each config in turns with the cost model's. Then searches with a tenth of
that many measurements are played through against the table, by the ranking model and by chance: how far is the best
that they come across from the best there is?
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean

from bench.command import parser_of
from bench.results.schema import Cell
from bench.showing.markdown import percent, table
from bench.studies.space import measure, tasks_of
from sparsecc.kernels.config import Config
from sparsecc.lower import stored as configs
from sparsecc.target import Target
from sparsecc.target.native.calibrate import resolve_here
from sparsecc.tuning.ranker import BoostedRanker, RandomRanker, Ranker
from sparsecc.tuning.tasks import Task

_ROUNDS, _SEEDS, _SHARE, _BATCH, _LEAST_SPACE = 7, 10, 0.1, 8, 100


def play(task: Task, times: Mapping[Config, float], ranker: Ranker, *, budget: int) -> float:
    """Best time that a search with so many measurements comes across, over the best there is; less 1."""
    left, found = [config for config in times if config != task.choice.default], [times[task.choice.default]]
    ranker.learn(task.choice, task.choice.default, times[task.choice.default])
    while budget > 0 and left:
        for config in ranker.propose(task.choice, left, min(_BATCH, budget)):
            ranker.learn(task.choice, config, times[config])
            found.append(times[config])
            left.remove(config)
            budget -= 1
    return min(found) / min(times.values()) - 1


def compare(task: Task, times: Mapping[Config, float], target: Target) -> list[str]:
    """A line of the table."""
    budget = int(_SHARE * len(times))

    def excess(make: Callable[[int], Ranker]) -> list[float]:
        return [play(task, times, make(seed), budget=budget) for seed in range(_SEEDS)]

    learned, chance = (
        excess(lambda seed: BoostedRanker(target, seed=seed)),
        excess(lambda seed: RandomRanker(seed=seed)),
    )
    default = times[task.choice.default] / min(times.values()) - 1
    shown = [percent(value, digits=1) for value in (default, mean(learned), max(learned), mean(chance), max(chance))]
    return [str(task.key), str(len(times)), str(budget), *shown]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure or read the table, play, print."""
    p = parser_of("studies.ranking", "The ranking model against chance.")
    p.add_argument("--net", default="resnet50", metavar="NET")
    p.add_argument("--n", type=int, default=16)
    p.add_argument("--sparsity", type=float, default=0.75)
    p.add_argument("--layers", type=int, default=6, help="layers to measure (default: 6)")
    p.add_argument("--target", default="native")
    p.add_argument("--out", type=Path, default=Path("ranking.json"), help="measurements, kept and used again")
    options = p.parse_args(arguments)
    target, _ = resolve_here(options.target)
    tasks = tasks_of(Cell(net=options.net, n=options.n, sparsity=options.sparsity, threads=1), target)
    large = [task for task in tasks if task.key.kind == "conv" and len(task.space) >= _LEAST_SPACE]
    step = max(1, len(large) // options.layers)
    kept = json.loads(options.out.read_text()) if options.out.exists() else {}
    lines = []
    for task in large[::step][: options.layers]:
        name = str(task.key)
        if name not in kept:
            timings = measure(task, task.space, rounds=_ROUNDS)
            kept[name] = [[configs.to_json(config), timing.relative] for config, timing in timings.items()]
            options.out.write_text(json.dumps(kept))
        lines.append(compare(task, {configs.from_json(data): relative for data, relative in kept[name]}, target))
    heads = ["layer", "configs", "measured", "cost model", "ranked", "worst of 10", "chance", "worst of 10"]
    print(table(heads, lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
