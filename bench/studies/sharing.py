"""Several instances and libraries in one process: ``python -m bench.studies.sharing``.

A service has threads that call an instance each. With nothing said about threads all of them share the cores: together
they do as much as processes with one thread each, and no run waits for long. In a round everyone takes a turn; ratios
are those of a round. Exit code 1 unless the aims are met.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import sparsecc
from bench.cells.prepare import pruned_net
from bench.command import parser_of, tell
from bench.results.schema import Cell
from bench.showing.markdown import table
from bench.studies.callers import Times

#: of two processes' throughput; of the median
LEAST_THROUGHPUT, MOST_SLOWEST = 0.95, 4.0


@dataclass(frozen=True)
class Turn:
    """Processes at once; of each its threads a run (0: not said) and the libraries' numbers, one for a caller."""

    name: str
    processes: tuple[tuple[int, tuple[int, ...]], ...]


BASE = Turn("two processes, one thread each", ((1, (0,)), (1, (0,))))
TURNS = (
    BASE,
    Turn("4 callers, an instance each", ((0, (0, 0, 0, 0)),)),
    Turn("4 callers, a library each", ((0, (0, 1, 2, 3)),)),
    Turn("2 callers, a library each", ((0, (0, 1)),)),
    Turn("8 callers, 4 libraries", ((0, (0, 1, 2, 3, 0, 1, 2, 3)),)),
    Turn("4 callers, a library each, told one thread", ((1, (0, 1, 2, 3)),)),
    Turn("4 callers, a library each, told two threads", ((2, (0, 1, 2, 3)),)),
)
#: what the aims are about
JUDGED = tuple(turn.name for turn in TURNS[1:3])


@dataclass(frozen=True)
class Took:
    """What a turn's processes did together: runs a second, and times of a run in ms."""

    throughput: float
    median_ms: float
    slowest_ms: float

    @property
    def slowest(self) -> float:
        """Of the median."""
        return self.slowest_ms / self.median_ms


def took(found: Sequence[Times]) -> Took:
    """Of all callers of all processes."""
    runs = [seconds * 1e3 for each in found for caller in each.runs for seconds in caller]
    return Took(sum(each.per_second for each in found), median(runs), max(runs))


def missed(rounds: Sequence[Mapping[str, Took]]) -> list[str]:
    """The aims that are not met, in words: throughput by the median of the rounds, the slowest run of all."""
    said = []
    for name in JUDGED:
        ratio = median(each[name].throughput / each[BASE.name].throughput for each in rounds)
        slowest = max(each[name].slowest for each in rounds)
        if ratio < LEAST_THROUGHPUT:
            said.append(f"{name}: {ratio:.2f} of two processes' throughput, expected {LEAST_THROUGHPUT}")
        if slowest > MOST_SLOWEST:
            said.append(f"{name}: a run of {slowest:.1f} times the median, expected at most {MOST_SLOWEST:g}")
    return said


def shown(rounds: Sequence[Mapping[str, Took]]) -> str:
    """A line for each turn: medians of the rounds, and the slowest run of all."""
    lines = []
    for name in rounds[0]:
        took = [each[name] for each in rounds]
        ratio = median(each[name].throughput / each[BASE.name].throughput for each in rounds)
        slowest = [max(each.slowest for each in took), median(each.slowest for each in took)]
        lines.append(
            (name, f"{median(each.throughput for each in took):.0f}", f"{ratio:.2f}",
             f"{median(each.median_ms for each in took):.2f}", f"{slowest[1]:.1f} ({slowest[0]:.1f})")
        )  # fmt: skip
    heads = ("who", "runs a second", "of two processes", "median, ms", "slowest run of the median's time (worst round)")
    return table(heads, lines)


def _build(net: str, *, sparsity: float, folder: Path) -> list[Path]:
    """One network as four libraries that know nothing of each other."""
    model, _ = pruned_net(Cell(net, 16, sparsity))
    shape = (1, 3, 224, 224)
    import torch

    paths = []
    for name in ("one", "two", "three", "four"):
        tell(f"compile {name}")
        library = sparsecc.compile(model, example_inputs=(torch.zeros(shape),), name=name, verify=False)
        library.save(folder / f"{name}.so")
        paths.append(folder / f"{name}.so")
    return paths


def _run(turn: Turn, libraries: Sequence[Path], *, seconds: float) -> Took:
    command = (sys.executable, "-m", "bench.studies.callers")
    processes = [
        subprocess.Popen(
            (*command, str(threads), str(seconds), *(str(libraries[i]) for i in numbers)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for threads, numbers in turn.processes
    ]  # fmt: skip
    for process in processes:
        assert process.stdout
        process.stdout.readline()
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate()[0]) for process in processes]
    return took([Times(tuple(map(tuple, a["runs"])), a["wall"]) for a in answers])


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, take turns, show; exit code 1 if an aim is missed."""
    parser = parser_of("studies.sharing", "Several instances and libraries in one process.")
    parser.add_argument("--net", default="mobilenet_v2")
    parser.add_argument("--sparsity", type=float, default=0.75)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn (default: 2)")
    parser.add_argument("--turns", type=int, nargs="+", default=list(range(1, len(TURNS))), help="which (default: all)")
    parser.add_argument("--libraries", type=Path, nargs=4, help="four libraries that are there already")
    o = parser.parse_args(arguments)
    turns = [BASE, *(TURNS[i] for i in o.turns)]
    with tempfile.TemporaryDirectory() as folder:
        libraries = o.libraries or _build(o.net, sparsity=o.sparsity, folder=Path(folder))
        rounds = [{turn.name: _run(turn, libraries, seconds=o.seconds) for turn in turns} for _ in range(o.rounds)]
    print(shown(rounds))
    failures = missed(rounds) if set(JUDGED) <= set(rounds[0]) else []
    print("\n".join(f"missed: {text}" for text in failures) or "all aims met")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
