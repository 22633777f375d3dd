"""The cost model's configs against the best, on layers of no network: ``python -m bench.studies.random_layers``.

A layer's search times the cost model's config and up to 30 others, few times; then the fastest five of them and the
config that the model chooses, many times: once to say which is best, once more to say how good it is. Kernels are built
by one step and timed by another. What is built or timed already is not done again, so that either can be done in
pieces; after a change of the model, only layers with another config are timed again, with ``--out`` as it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.command import parser_of, tell
from bench.machine.describe import source_digest
from bench.results.stats import quantile
from bench.showing.markdown import percent, table
from bench.studies.drawn import Drawn, draw
from bench.studies.layer_search import candidates, in_words, timed
from sparsecc.kernels.config import Config
from sparsecc.lower import stored as configs
from sparsecc.target import Target
from sparsecc.target.native.calibrate import resolve_here
from sparsecc.tuning.candidates import write_program
from sparsecc.tuning.tasks import Task

_FINALISTS, _QUICK, _ROUNDS, _WORST = 5, 3, 15, 15
_NO_LIMIT = 1e9


@dataclass(frozen=True)
class Result:
    """A layer: microseconds of the config that the model chose and, in the same rounds, of the best one known."""

    layer: dict[str, Any]
    picked: dict[str, Any]
    picked_us: float
    best: dict[str, Any]
    best_us: float
    configs: int

    @property
    def share(self) -> float:
        """The best time as a share of the picked config's."""
        return min(1.0, self.best_us / self.picked_us)


class Store:
    """The folder with programs and times of the search, and the file with the results."""

    def __init__(self, folder: Path, out: Path) -> None:
        self.folder, self._out = folder, out
        folder.mkdir(parents=True, exist_ok=True)
        self.results: dict[str, Result] = {}
        if out.exists():
            self.results = {key: Result(**data) for key, data in json.loads(out.read_text()).items()}

    def program(self, number: int, stage: str) -> Path:
        """Where a layer's program is."""
        return self.folder / f"{number:04}.{stage}"

    def read(self, number: int, part: str) -> Any:
        """What is known of a layer: ``search`` or ``final``, the configs of its program; ``times`` of the search."""
        path = self.folder / f"{number:04}.{part}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def write(self, number: int, part: str, data: Any) -> None:
        """Keep it."""
        (self.folder / f"{number:04}.{part}.json").write_text(json.dumps(data))

    def add(self, number: int, result: Result) -> None:
        """Keep a result."""
        self.results[str(number)] = result
        self._out.write_text(json.dumps({key: asdict(value) for key, value in self.results.items()}, indent=1))


def build_layer(store: Store, number: int, layer: Drawn, target: Target, *, source: str) -> bool:
    """Build what is missing of a layer; False when that is nothing. ``source`` names the model."""
    if store.read(number, "search") is None:
        task = layer.task(target)
        tried = candidates(task, seed=number)
        _build(store, number, "search", layer, task, tried)
        store.write(number, "picked", {"source": source, "config": configs.to_json(tried[0])})
        return True
    times, known = store.read(number, "times"), store.read(number, "picked")
    if times is None or known["source"] == source:
        return False
    task = layer.task(target)
    picked = configs.to_json(task.choice.default)
    store.write(number, "picked", {"source": source, "config": picked})
    if _program_with(store, number, picked):
        return False
    best = [configs.from_json(data) for data, _ in _ranked(times)]
    _build(store, number, "final", layer, task, list(dict.fromkeys((task.choice.default, *best))))
    return True


def _build(store: Store, number: int, stage: str, layer: Drawn, task: Task, tried: Sequence[Config]) -> None:
    write_program(task, tried, store.program(number, stage))
    store.write(number, stage, {"layer": asdict(layer), "configs": [configs.to_json(config) for config in tried]})


def _program_with(store: Store, number: int, picked: Any) -> str:
    """Stage whose program has a config; nothing when none has."""
    for stage in ("search", "final"):
        made = store.read(number, stage)
        if made is not None and picked in made["configs"]:
            return stage
    return ""


def _ranked(times: Sequence[tuple[Any, float]]) -> list[tuple[Any, float]]:
    return sorted(times, key=lambda pair: pair[1])[:_FINALISTS]


def time_layer(store: Store, number: int) -> bool:
    """Time what is built and not timed; False when that is nothing."""
    search, times = store.read(number, "search"), store.read(number, "times")
    if search is None:
        return False
    if times is None:
        found = timed(store.program(number, "search"), rounds=_QUICK, only=range(len(search["configs"])))
        times = [(search["configs"][i], timing.relative) for i, timing in found.items()]
        store.write(number, "times", times)
    picked, done = store.read(number, "picked")["config"], store.results.get(str(number))
    stage = _program_with(store, number, picked)
    if not stage or (done is not None and done.picked == picked):
        return False
    store.add(number, _final(store, number, stage, picked))
    return True


def _final(store: Store, number: int, stage: str, picked: Any) -> Result:
    """The best of the finalists by one set of rounds, and both times by another.

    A program times every config in turns with its first one, so that two of them are compared by that one.
    """
    program, made, times = store.program(number, stage), store.read(number, stage), store.read(number, "times")
    tried, known = made["configs"], [data for data, _ in _ranked(times)]
    chosen, finalists = tried.index(picked), [tried.index(data) for data in known if data in tried]
    first = timed(program, rounds=_ROUNDS, only=sorted({chosen, *finalists}))
    best = min(first, key=lambda i: first[i].relative)
    again = timed(program, rounds=_ROUNDS, only=sorted({chosen, best}))
    unit = again[chosen].default_us
    own, least = (unit * again[i].relative for i in (chosen, best))
    return Result(made["layer"], picked, own, tried[best], least, len(times))


def tables(results: Sequence[Result]) -> str:
    """Shares of the best, and the layers with the least."""
    kinds: list[tuple[str, Callable[[Drawn], bool]]] = [
        ("all", lambda layer: True),
        ("dense", lambda layer: layer.is_dense and not layer.is_depthwise),
        ("depthwise", lambda layer: layer.is_depthwise),
        ("sparse", lambda layer: not layer.is_dense),
        ("1x1", lambda layer: layer.kernel == 1),
        ("larger kernels", lambda layer: layer.kernel > 1 and not layer.is_depthwise),
    ]
    lines = []
    for kind, belongs in kinds:
        shares = [r.share for r in results if belongs(Drawn(**r.layer))]
        if shares:
            numbers = (quantile(shares, 0.5), quantile(shares, 0.1), min(shares))
            lines.append([kind, f"{len(shares)}", *(percent(number) for number in numbers)])
    worst = sorted(results, key=lambda r: r.share)[:_WORST]
    slowest = [
        [
            str(Drawn(**r.layer)),
            percent(r.share),
            f"{r.picked_us:.1f}",
            name_of(r.picked),
            f"{r.best_us:.1f}",
            name_of(r.best),
        ]
        for r in worst
    ]
    heads = ["layers", "count", "median", "tenth percentile", "least"]
    return f"{table(heads, lines)}\n\n{table(['layer', 'share', 'us', 'chosen', 'us', 'best'], slowest)}"


def name_of(data: dict[str, Any]) -> str:
    """Its config in words."""
    return in_words(configs.from_json(data))


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, time, or print the table."""
    p = parser_of("studies.random_layers", (__doc__ or "").partition(":")[0])
    p.add_argument("step", choices=("build", "time", "table"))
    p.add_argument("--count", type=int, default=220, help="layers (default: 220)")
    p.add_argument("--seed", type=int, default=0, help="of their choice (default: 0)")
    p.add_argument("--seconds", type=float, default=_NO_LIMIT, help="begin no layer after so many seconds")
    p.add_argument("--target", default="native")
    p.add_argument("--folder", type=Path, default=Path("build/out/random_layers"), help="programs, times of the search")
    p.add_argument("--out", type=Path, default=Path("results_random_layers.json"), help="results")
    options = p.parse_args(arguments)
    store = Store(options.folder, options.out)
    if options.step == "table":
        print(tables(list(store.results.values())))
        return 0
    _work(store, options)
    return 0


def _work(store: Store, options: argparse.Namespace) -> None:
    start, done = time.monotonic(), 0
    building = options.step == "build"
    layers = draw(options.count, seed=options.seed) if building else []
    target = resolve_here(options.target)[0]
    # with other constants of the core the model may choose others, too
    source = f"{source_digest()} {hashlib.blake2b(repr(target).encode(), digest_size=8).hexdigest()}"
    for number in range(options.count):
        if time.monotonic() - start > options.seconds:
            tell(f"stopped before layer {number}: the time is over; again for the rest")
            return
        worked = (
            build_layer(store, number, layers[number], target, source=source) if building else time_layer(store, number)
        )
        done += worked
        if worked:
            tell(f"{options.step}: layer {number + 1} of {options.count}")
    tell(f"{options.step}: {done} layers done, nothing is left")


if __name__ == "__main__":
    raise SystemExit(main())
