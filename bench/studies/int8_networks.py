"""Networks in 8-bit integers: ``python -m bench.studies.int8_networks --net resnet18 --n 16 --sparsity 0 0.5 0.75``.

Everybody has a process of its own and one thread; all run in turns, and ratios are those of a round. Engines read the
same quantized ONNX file, by ONNX Runtime's tool; our libraries are made from PyTorch's quantization of the same pruned
network, in whose ranges both have the network's own input. The error is that of the outputs against the float32
network's: rounding to 8 bits, not a mistake.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import nets

from bench.cells.prepare import prepare
from bench.command import parser_of, tell
from bench.results.schema import Cell
from bench.results.stats import ratios, spread
from bench.rivals import RIVALS
from bench.rivals.files import ONNX
from bench.rivals.int8 import CODED, write_codes
from bench.running.client import Client, WorkerError
from bench.running.rounds import rotated
from bench.showing.markdown import NONE, number, table

OURS = "sparsecc_int8"
_NETS = ("mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50")
_HEADS = ["net", "pattern", "who", "median of a round, ms", "sparsecc, int8, is faster", "error"]
_WARM_S = 0.3
_LEAST_RUNS = 5


@dataclass(frozen=True)
class Player:
    """One participant: largest error relative to the largest output, median of every round in ms."""

    name: str
    error: float
    ms: tuple[float, ...]


_EVERYONE = RIVALS | CODED


def measure(cell: Cell, names: Sequence[str], *, rounds: int, run_s: float) -> list[Player]:
    """All who can run a network; ``run_s`` seconds for each of them in a round."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        prepare(cell, folder)
        write_codes(folder, ONNX)
        players, errors = {}, {}
        for name in names:
            tell(f"{cell.net}: prepare {name}")
            rival = _EVERYONE[name]
            try:
                with Client(rival, folder, threads=1) as converter:
                    converter.ask("convert")
                player = stack.enter_context(Client(rival, folder, threads=1))
                player.ask("load", threads=1)
                errors[name] = player.ask("check")["error"]
            except WorkerError as failure:
                tell(f"{cell.net}: {name} takes no part: {failure}")
                continue
            players[name] = player
        found: dict[str, list[float]] = {name: [] for name in players}
        for number_of in range(rounds):
            for name in rotated(list(players), number_of):
                timed = players[name].ask("time", warm_s=_WARM_S, run_s=run_s, min_runs=_LEAST_RUNS)["ms"]
                found[name].append(spread(timed).median)
    return [Player(name, errors[name], tuple(ms)) for name, ms in found.items()]


def rows(cell: Cell, players: Sequence[Player]) -> list[list[str]]:
    """Lines of the table."""
    ours = next((player for player in players if player.name == OURS), None)
    lines = []
    for player in players:
        time = spread(player.ms)
        faster = NONE
        if ours is not None and player is not ours:
            ratio = ratios(player.ms, ours.ms)
            faster = f"{ratio.median:.2f}x ({ratio.p10:.2f} to {ratio.p90:.2f})"
        label = _EVERYONE[player.name].label
        lines.append([cell.net, cell.pattern, label, number(time), faster, f"{player.error:.1e}"])
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table."""
    p = parser_of("studies.int8_networks", "Networks in 8-bit integers, beside other engines.")
    p.add_argument("--net", nargs="+", default=list(_NETS), choices=list(nets.NETS))
    p.add_argument("--n", type=int, default=16, help="output channels of a block (default: %(default)s)")
    p.add_argument("--sparsity", type=float, nargs="+", default=[0.0, 0.5, 0.75, 0.9])
    p.add_argument("--who", nargs="+", default=[*CODED, "sparsecc"], choices=[*CODED, *RIVALS])
    p.add_argument("--rounds", type=int, default=6)
    p.add_argument("--seconds", type=float, default=0.5, help="of runs of everybody in a round (default: %(default)s)")
    p.add_argument("--size", type=int, default=224, help="pixels (default: %(default)s)")
    o = p.parse_args(arguments)
    made = []
    for net in o.net:
        for sparsity in o.sparsity:
            cell = Cell(net, o.n if sparsity else 1, sparsity, size=o.size)
            made += rows(cell, measure(cell, o.who, rounds=o.rounds, run_s=o.seconds))
    print(table(_HEADS, made))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
