"""Networks beside busy programs: ``python -m bench.studies.neighbours``.

Libraries use all cores unless told otherwise, and whoever runs them has a browser open, or three containers beside. So
everyone is timed beside 0, 1, 2 and 4 busy loops: our library with one thread, with two, with as many as it chooses,
and the rivals that are set up. In a round all take their turns one after another, first idle, then beside one loop, and
so on; ratios are those of a round. Exit code 1 unless our default does about as well as our one thread everywhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from bench.cells.options import add_rivals, rivals_of
from bench.cells.prepare import prepare
from bench.command import add_shape, parser_of, tell
from bench.judging.neighbours import Beside, missed, situations, standing, turn_of
from bench.machine.coherence import chip, round_trip_ns
from bench.machine.others import Use, Watch
from bench.results.schema import MAX_ERROR, Cell
from bench.results.summary import OURS, OURS_DEFAULT, OURS_ONE_THREAD
from bench.rivals import RIVALS
from bench.running.client import Client, WorkerError
from bench.running.rounds import disturbance, rotated
from bench.showing.markdown import NONE, table

_OURS = (OURS_ONE_THREAD, OURS, OURS_DEFAULT)
_NETS, _NEIGHBOURS = ("mobilenet_v2", "resnet50"), (0, 1, 2, 4)
_THREADS = 2
_WARM_S, _LEAST_RUNS = 0.2, 5
#: ends with who started it
_LOOP = "import os; parent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(10**6): pass"


@contextmanager
def busy_loops(count: int) -> Iterator[list[int]]:
    """So many programs that only take processor time; their process numbers."""
    with ExitStack() as stack:
        loops = []
        for _ in range(count):
            loop = stack.enter_context(subprocess.Popen((sys.executable, "-c", _LOOP)))
            stack.callback(loop.kill)
            loops.append(loop.pid)
        yield loops


def _ready(cell: Cell, names: Sequence[str], stack: ExitStack) -> dict[str, Client]:
    """Everyone who can run a network, and whose result is right."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    prepare(cell, folder)
    players = {}
    for name in names:
        tell(f"{cell.net}: prepare {name}")
        try:
            with Client(RIVALS[name], folder, threads=_THREADS) as converter:
                converter.ask("convert")
            player = stack.enter_context(Client(RIVALS[name], folder, threads=_THREADS))
            player.ask("load", threads=_THREADS)
            error = player.ask("check")["error"]
        except WorkerError as failure:
            if RIVALS[name].ours:
                raise
            tell(f"{cell.net}: {name} takes no part: {failure}")
            continue
        if error is None or error > MAX_ERROR:
            if RIVALS[name].ours:
                raise RuntimeError(f"{cell.net}: {name}'s error is {error}, expected at most {MAX_ERROR:g}")
            tell(f"{cell.net}: {name} takes no part: its error is {error}")
            continue
        players[name] = player
    return players


def _play(net: str, players: dict[str, Client], neighbours: int, *, number: int, run_s: float) -> Beside:
    """Everyone's turn beside so many busy loops."""
    turns, worst = {}, Use(0.0, 0.0)

    def probe() -> float | None:
        return None if neighbours else round_trip_ns()

    with busy_loops(neighbours) as loops:
        for name in rotated(list(players), number):
            before, watch = probe(), Watch([*loops, *(player.pid for player in players.values())])
            answer = players[name].ask("time", warm_s=_WARM_S, run_s=run_s, min_runs=_LEAST_RUNS)
            use = watch.use()
            worst = Use(max(worst.others, use.others), max(worst.stolen, use.stolen))
            turns[name] = turn_of(answer["ms"], place=chip([before, probe()]))
    return Beside(net, neighbours, turns, disturbance(worst, 1.0))


def _line(played: Beside) -> str:
    times = ", ".join(
        f"{name} {turn.median:.2f} / {turn.last:.2f} [{turn.place}]" for name, turn in sorted(played.turns.items())
    )
    return f"{played.net}, {played.neighbours} busy: {times}" + (f" [{played.disturbed}]" if played.disturbed else "")


def summary(rounds: Sequence[Beside]) -> str:
    """A table for each network: median / 99th percentile, and both over those of our one thread."""
    texts = []
    for net in dict.fromkeys(played.net for played in rounds):
        columns = [at for at in situations(rounds) if at.net == net]
        names = dict.fromkeys(name for played in rounds if played.net == net for name in played.turns)
        head = [f"{net}, ms", *map(str, columns), *(f"over one thread: {at}" for at in columns)]
        body = []
        for name in names:
            found = [standing(rounds, name, at, one=OURS_ONE_THREAD) for at in columns]
            times = [f"{s.median:.2f} / {s.last:.2f}" if s else NONE for s in found]
            ratios = [f"{s.over_median:.2f} / {s.over_last:.2f}" if s else NONE for s in found]
            body.append([RIVALS[name].label, *times, *ratios])
        texts.append(table(head, body))
    return "\n\n".join(texts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print tables, judge."""
    p = parser_of("studies.neighbours", "Everyone beside busy programs: median / 99th percentile of runs.")
    p.add_argument("--nets", nargs="+", default=_NETS, metavar="NET", help="from examples/nets")
    p.add_argument("--n", type=int, default=16, help="output channels of a block (default: 16)")
    p.add_argument("--sparsity", type=float, default=0.75, help="share of pruned blocks (default: 0.75)")
    p.add_argument("--neighbours", nargs="+", type=int, default=_NEIGHBOURS, help="busy loops (default: 0 1 2 4)")
    p.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    p.add_argument("--run-s", type=float, default=1.0, help="seconds of a turn's timed runs (default: 1)")
    p.add_argument("--out", type=Path, default=Path("neighbours.json"), help="all rounds (default: neighbours.json)")
    add_rivals(p)
    add_shape(p)
    options = p.parse_args(arguments)
    rounds: list[Beside] = []
    for net in options.nets:
        cell = Cell(net, options.n, options.sparsity, _THREADS, options.width, options.size)
        with ExitStack() as stack:
            players = _ready(cell, (*_OURS, *rivals_of(options)), stack)
            for number in range(options.rounds):
                for neighbours in options.neighbours:
                    rounds.append(_play(net, players, neighbours, number=number, run_s=options.run_s))
                    tell(_line(rounds[-1]))
        options.out.write_text(json.dumps([asdict(played) for played in rounds], indent=1))
    print(summary(rounds), end="\n\n")
    failures = list(missed(rounds, OURS_DEFAULT, one=OURS_ONE_THREAD))
    for text in failures:
        print(text)
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())
