"""How right the advisor is: ``python -m bench.studies.advice``.

Every pattern of a network is compiled, and all of them run in turns, a round after the other; disturbed rounds are
repeated. Their layers' profiles are taken in turns, too. Then predicted times stand beside measured ones, and for every
pattern the rank correlation over layers of what the advisor says they gain and what the medians of their profiles say;
beside it that of one half of the profiles with the other: noise leaves no more to predict than that.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from nets import build

from bench.cells.grid import NETWORKS, Grid
from bench.cells.options import QUICK
from bench.cells.prepare import prepare
from bench.command import add_patterns, add_shape, parser_of, tell
from bench.machine.peak import peak_gflops, quick_peak
from bench.results.schema import MAX_ERROR, Cell, Round, Rules
from bench.results.stats import Spread, spread
from bench.results.summary import OURS
from bench.rivals import RIVALS
from bench.running.client import Client
from bench.running.rounds import Guard, counts, play_rounds
from bench.showing.markdown import NONE, number, percent, table
from sparsecc.advice.advise import network_us, scale_here
from sparsecc.advice.network import Network
from sparsecc.advice.steps import StepCost
from sparsecc.analyse.impose import Impose
from sparsecc.importer import import_model
from sparsecc.options import Options
from sparsecc.rewrite.winograd import input_key, output_key
from sparsecc.target.native.calibrate import resolve_here
from sparsecc.target.native.cpu import processor
from sparsecc.target.records.lookup import find_records
from sparsecc.target.records.scale import Scale

#: relative error of a network's time that is the aim, and least rank correlation over its layers
AIM, RANKS = 0.2, 0.9
#: of every cell
_PROFILES = 12
#: step's key -> microseconds
Profile = Mapping[str, float]


@dataclass(frozen=True)
class Compared:
    """A cell: milliseconds as predicted and measured, and rank correlations of its layers' gains.

    ``calm`` rounds were not disturbed; with none the time is that of all, and worth little. ``saved`` is the rank
    correlation of the microseconds which layers save, ``faster`` that of their speed-ups, ``repeated`` that of the
    microseconds in one half of the profiles with those in the other; None for a dense cell.
    """

    net: str
    n: int
    sparsity: float
    predicted_ms: float
    measured_ms: Spread
    calm: int
    saved: float | None
    faster: float | None
    repeated: float | None

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted_ms / self.measured_ms.median


def compare(net: str, cells: Sequence[Cell], rules: Rules) -> list[Compared]:
    """Measure and predict all patterns of a network; the first cell is the dense one."""
    size, width = cells[0].size, cells[0].width
    target, figures = resolve_here("native")
    options = Options()
    scale = scale_here(target, options, figures)
    model = build(net, seed=0, width=width).eval()
    imported = import_model(model, (np.zeros((1, 3, size, size), np.float32),))
    records = find_records(options.schedules, target, cpu=processor())
    network = Network(imported, target, options, records=records)
    rounds, profiles = _measured(cells, rules)
    calm = [played for played in rounds if counts(played)]
    found = []
    for cell in cells:
        impose, name = _pattern(cell), cell.pattern
        measured = spread([played.ms[name] for played in calm or rounds])
        saved = faster = repeated = None
        if not cell.is_dense:
            saved, faster, repeated = _ranks(network, impose, scale, profiles[cells[0].pattern], profiles[name])
        predicted = network_us(network, impose, scale) / 1e3
        found.append(Compared(net, cell.n, cell.sparsity, predicted, measured, len(calm), saved, faster, repeated))
    return found


def _measured(cells: Sequence[Cell], rules: Rules) -> tuple[Sequence[Round], dict[str, list[Profile]]]:
    """All rounds, and profiles of every cell, taken in turns."""
    with ExitStack() as stack:
        players: dict[str, Client] = {}
        for cell in cells:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            prepare(cell, folder)
            tell(f"{cell.net}, {cell.pattern}: compile")
            with Client(RIVALS[OURS], folder, threads=1) as converter:
                converter.ask("convert")
            player = players[cell.pattern] = stack.enter_context(Client(RIVALS[OURS], folder, threads=1))
            player.ask("load", threads=1)
            error = player.ask("check")["error"]
            if error is None or error > MAX_ERROR:
                raise RuntimeError(f"{cell.net}, {cell.pattern}: its error is {error}, expected at most {MAX_ERROR:g}")
        guard = Guard(peak_gflops(1), probe=False, peak=quick_peak)
        rounds = play_rounds(players, rules, guard, tell=tell)
        profiles: dict[str, list[Profile]] = {name: [] for name in players}
        for _ in range(_PROFILES):
            for name, player in players.items():
                layers = player.ask("layers")["layers"]
                profiles[name].append({layer["key"]: 1e3 * layer["ms"] for layer in layers})
    return rounds, profiles


def _median(profiles: Sequence[Profile]) -> Profile:
    return {key: median(profile[key] for profile in profiles) for key in profiles[0]}


def _ranks(
    network: Network, impose: Impose | None, scale: Scale, dense: Sequence[Profile], sparse: Sequence[Profile]
) -> tuple[float, float, float]:
    """Rank correlations over layers: predicted and measured time saved, speed-up; time saved measured twice."""
    steps = network.steps(None), network.steps(impose)
    keys = [layer.key for calls in network.layers.values() for layer in calls]
    groups = together(keys, [step for each in steps for step in each])
    predicted = [{step.key: step.us(scale) for step in each} for each in steps]
    halves = [_median(half) for half in (dense[::2], sparse[::2], dense[1::2], sparse[1::2])]
    measured = [_median(dense), _median(sparse), *halves]
    times = [[time_of(group, each) for group in groups] for each in (*predicted, *measured)]
    before, after, was, now, *twice = of_equal_layers(times[0], times[1], *times[2:])
    saved, faster = spearman(before - after, was - now), spearman(before / after, was / now)
    return saved, faster, spearman(twice[0] - twice[1], twice[2] - twice[3])


def of_equal_layers(before: Sequence[float], after: Sequence[float], *measured: Sequence[float]) -> np.ndarray:
    """Means over layers with equal predictions: such layers are equal, what was measured of them differs by chance.

    Returns
    -------
    numpy.ndarray
        As many rows as arguments, a column for each kind of layer.
    """
    keys = np.stack([np.round(before, 3), np.round(after, 3)], axis=1)
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)
    return np.stack([np.bincount(group, weights=values) for values in (before, after, *measured)]) / np.bincount(group)


def together(keys: Iterable[str], steps: Iterable[StepCost]) -> list[frozenset[str]]:
    """Layers that can be told apart: those that a step of either network joins are one."""
    groups = [frozenset({step.key, *step.joined}) for step in steps if step.joined]
    found: list[frozenset[str]] = []
    for key in keys:
        group = frozenset({key})
        while (more := group.union(*(g for g in groups if g & group))) != group:
            group = more
        if group not in found:
            found.append(group)
    return found


def time_of(group: Iterable[str], times: Mapping[str, float]) -> float:
    """Of all steps that compute some layers, those of Winograd's algorithm included."""
    return sum(times.get(name, 0.0) for key in group for name in (key, input_key(key), output_key(key)))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Rank correlation; equal values share their mean rank, and 0 where all are equal."""
    x, y = (_rank(np.asarray(values, float)) for values in (a, b))
    if x.std() == 0 or y.std() == 0:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def _rank(values: np.ndarray) -> np.ndarray:
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[inverse], float)


def _pattern(cell: Cell) -> Impose | None:
    return None if cell.is_dense else Impose(cell.n, cell.sparsity)


def _line(c: Compared) -> list[str]:
    ranks = [NONE if rank is None else f"{rank:.2f}" for rank in (c.saved, c.repeated, c.faster)]
    times = [f"{c.predicted_ms:.2f}", number(c.measured_ms), f"{c.calm}", f"{c.ratio:.2f}"]
    return [c.net, Cell(c.net, c.n, c.sparsity).pattern, *times, *ranks]


def summary(found: Sequence[Compared]) -> str:
    """The table, and how many cells reach the aims."""
    heads = [
        "net",
        "pattern",
        "predicted, ms",
        "measured, ms",
        "calm rounds",
        "ratio",
        "ranks of time saved",
        "the same, measured twice",
        "ranks of speed-up",
    ]
    near = sum(abs(c.ratio - 1) <= AIM for c in found)
    ranked = [c.saved for c in found if c.saved is not None]
    return "\n\n".join(
        [
            table(heads, map(_line, found)),
            f"{near} of {len(found)} cells within {percent(AIM)}; rank correlation at least {RANKS} in "
            f"{sum(rank >= RANKS for rank in ranked)} of {len(ranked)}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write all figures."""
    p = parser_of("studies.advice", "The advisor's predictions against runs.")
    p.add_argument("--nets", nargs="+", default=NETWORKS, metavar="NET", help="from examples/nets")
    add_patterns(p, sparsity=(0.5, 0.75, 0.9))
    p.add_argument("--rounds", type=int, default=7, help="that count (default: 7)")
    add_shape(p)
    p.add_argument("--quick", action="store_true", help="few and short rounds, to see that it works")
    p.add_argument("--out", type=Path, default=Path("advice.json"), help="all figures (default: advice.json)")
    options = p.parse_args(arguments)
    rules = Rules(**QUICK) if options.quick else Rules(rounds=options.rounds)
    found: list[Compared] = []
    for net in options.nets:
        shares = (0.0, *options.sparsity)  # gains are those over the dense network
        grid = Grid((net,), tuple(options.n), shares, (1,), (), width=options.width, size=options.size)
        found += compare(net, grid.cells(), rules)
        options.out.write_text(json.dumps([asdict(c) for c in found], indent=1))
    print(summary(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
