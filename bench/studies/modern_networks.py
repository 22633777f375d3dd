"""Networks of other packages: ``python -m bench.studies.modern_networks --net convnext_tiny --folder libraries``.

Ours, dense and 1x16 at 75 %, beside engines that read one ONNX file of the same dense network (they run the pruned one
at the same speed). Everybody has a process of its own and one thread; all run in turns, ratios are those of a round.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.command import parser_of, tell
from bench.results.schema import MAX_ERROR
from bench.results.stats import ratios, spread
from bench.rivals import RIVALS
from bench.running.client import Client, WorkerError
from bench.running.rounds import rotated
from bench.showing.markdown import number, table
from bench.studies.modern_nets import NETS, write

DENSE, PRUNED, OTHERS = "sparsecc, dense", "sparsecc, 1x16 at 75 %", ("onnxruntime", "openvino")
_HEADS = ["net", "who", "median of a round, ms", "time of the better engine / its time", "error"]
_PROFILE_HEADS = ["net", "step", "kind", "ms", "G multiply-adds/s"]


@dataclass(frozen=True)
class Player:
    """One participant: largest error relative to the largest output, median of every round in ms."""

    name: str
    error: float
    ms: tuple[float, ...]


def measure(folder: Path, *, rounds: int, run_s: float, warm_s: float) -> list[Player]:
    """All in turns, ``run_s`` seconds in a round; first each one's results are held against PyTorch's."""
    wanted = [(DENSE, "sparsecc", "dense"), (PRUNED, "sparsecc", "pruned")]
    wanted += [(RIVALS[name].label, name, "dense") for name in OTHERS]
    with ExitStack() as stack:
        players, errors = {}, {}
        for label, name, which in wanted:
            players[label] = stack.enter_context(Client(RIVALS[name], folder / which, threads=1))
            errors[label] = _checked(label, players[label])
        found: dict[str, list[float]] = {label: [] for label in players}
        for turn in range(rounds):
            for label in rotated(list(players), turn):
                timed = players[label].ask("time", warm_s=warm_s, run_s=run_s, min_runs=3)["ms"]
                found[label].append(spread(timed).median)
    return [Player(label, errors[label], tuple(ms)) for label, ms in found.items()]


def _checked(label: str, player: Client) -> float:
    """Load it; the largest error. Who can't take part, or is wrong, ends the study: it would show half of a table."""
    try:
        player.ask("load", threads=1)
        error = player.ask("check")["error"]
    except WorkerError as failure:
        raise SystemExit(f"{label}: {failure}") from failure
    if error is None or error > MAX_ERROR:
        raise SystemExit(f"{label}: found an error of {error} of the largest output, expected at most {MAX_ERROR}")
    return float(error)


def rows(net: str, players: Sequence[Player]) -> list[list[str]]:
    """Lines of the table; the better engine is that of the lower median."""
    engines = [player for player in players if player.name not in (DENSE, PRUNED)]
    best = min(engines, key=lambda player: spread(player.ms).median)
    lines = []
    for player in players:
        ratio = ratios(best.ms, player.ms)
        times = f"{ratio.median:.2f} ({ratio.p10:.2f} to {ratio.p90:.2f})"
        lines.append([net, player.name, number(spread(player.ms)), times, f"{player.error:.1e}"])
    return lines


def profile(net: str, folder: Path, *, most: int) -> list[list[str]]:
    """The steps of a library that take longest."""
    with Client(RIVALS["sparsecc"], folder, threads=1) as player:
        player.ask("load", threads=1)
        steps = player.ask("layers")["layers"]
    slowest = sorted(steps, key=lambda step: -float(step["ms"]))[:most]
    return [
        [net, step["key"], step["kind"], f"{step['ms']:.3f}", f"{1e-6 * step['macs'] / step['ms']:.1f}"]
        for step in slowest
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table."""
    p = parser_of("studies.modern_networks", "Networks of other packages beside other engines, one thread.")
    p.add_argument("--net", nargs="+", default=list(NETS), choices=list(NETS))
    p.add_argument("--rounds", type=int, default=11)
    p.add_argument("--seconds", type=float, default=0.25, help="of runs of everybody in a round (default: %(default)s)")
    p.add_argument("--warm", type=float, default=0.1, help="seconds before them (default: %(default)s)")
    p.add_argument("--folder", type=Path, help="keep libraries there, and use those that are there already")
    p.add_argument("--build-only", action="store_true", help="measure nothing: for another process to do it")
    p.add_argument("--steps", type=int, default=0, help="show so many of the slowest steps instead")
    o = p.parse_args(arguments)
    made: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        for name in o.net:
            net, folder = NETS[name], (o.folder or Path(temporary)) / name
            for which in ("dense", "pruned"):
                tell(f"{name}: {which}")
                write(net, folder / which, pruned=which == "pruned")
                if o.steps and not o.build_only:
                    made += profile(f"{net.label}, {which}", folder / which, most=o.steps)
            if not (o.steps or o.build_only):
                made += rows(net.label, measure(folder, rounds=o.rounds, run_s=o.seconds, warm_s=o.warm))
    print(table(_PROFILE_HEADS if o.steps else _HEADS, made))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
