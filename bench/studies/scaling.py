"""More cores than there are: ``python -m bench.studies.scaling``.

Every thread's share of every step is timed alone, with its data where it would be on so many cores (``csrc/alone.c``
says how), and the slowest share with what it costs to wake and to count the threads is taken as the step. So speed-ups
on 4 to 64 threads are predicted on two cores, step by step, and what limits each. Two threads are also run for real:
exit code 1 where that differs from what is predicted by more than 10 %, or an aim is missed.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch

from bench.cells.prepare import pruned_net
from bench.command import add_shape, parser_of, tell
from bench.machine.coherence import chip, round_trip_ns
from bench.results.schema import Cell
from bench.showing.markdown import NONE, percent, table
from bench.studies.alone import Samples, build, run_alone
from bench.studies.predicted import Losses, StepTimes, losses, network_us, total

_NETS, _THREADS = ("mobilenet_v1", "resnet50"), (1, 2, 4, 8, 16, 32, 64)
_PASSES, _PATIENCE = 3, 4
#: most that prediction and real run may differ by on two threads
TOLERANCE = 0.10
#: least speed-up by threads, near cores, uniform rows
AIMS = {"resnet50": {8: 7.0, 16: 12.0}}


@dataclass(frozen=True)
class Scaling:
    """A network on many threads.

    Attributes
    ----------
    net, rows : str
        ``rows`` is ``"uniform"`` or ``"unequal"``.
    steps : dict
        Threads -> its steps.
    trip : float
        Microseconds of a line from one core to another.
    real : dict
        Threads -> microseconds of real runs.
    place : str
        Where the cores were.
    """

    net: str
    rows: str
    steps: dict[int, list[StepTimes]]
    trip: float
    real: dict[int, float]
    place: str

    def us(self, threads: int) -> float:
        """Predicted microseconds."""
        return network_us(self.steps[threads], self.trip)

    def faster(self, threads: int) -> float:
        """Predicted speed-up over one thread."""
        return self.us(1) / self.us(threads)

    def losses(self, threads: int) -> Losses:
        """All of them, together."""
        return total(self.steps[1], self.steps[threads], self.trip)


def measure(net: str, program: Path, keys: Sequence[str], *, rows: str, threads: Sequence[int], rounds: int) -> Scaling:
    """Time all shares in turns; a turn counts while the cores are near. Where too few are, far ones do."""
    samples: dict[str, dict[int, Samples]] = defaultdict(lambda: defaultdict(Samples))
    turns: dict[tuple[str, int], int] = defaultdict(int)
    for _ in range(_PATIENCE * rounds):
        wanted = [count for count in threads if turns["near", count] < rounds]
        for count in wanted:
            before = round_trip_ns()
            lines = run_alone(program, threads=count, passes=_PASSES)
            where = chip([before, round_trip_ns()])
            tell(f"{net}, {rows} rows, {count} threads: {where}")
            samples[where][count].add(lines)
            turns[where, count] += 1
    where = next((each for each in ("near", "far") if all(turns[each, count] for count in threads)), None)
    if where is None:
        raise RuntimeError(f"{net}: the cores' distance changed all the time; found {dict(turns)}, try again")
    found = samples[where]
    return Scaling(
        net=net,
        rows=rows,
        steps={count: found[count].steps(keys) for count in threads},
        trip=min(found[2].barrier) / 2e3,  # what is longer was disturbed
        real={count: sum(found[count].run_us()) for count in (1, 2)},
        place=where,
    )


def overview(found: Sequence[Scaling]) -> str:
    """Speed-ups, and what is lost where."""
    head = ["net", "rows", "cores", "threads", "predicted, ms", "faster", "real, ms"]
    body = []
    for s in found:
        for count in s.steps:
            lost, us = s.losses(count), s.us(count)
            shares = [percent(getattr(lost, each.name) / us) for each in fields(lost)]
            real = f"{s.real[count] / 1e3:.2f}" if count in s.real else NONE
            body.append(
                [s.net, s.rows, s.place, f"{count}", f"{us / 1e3:.2f}", f"{s.faster(count):.2f}", real, *shares]
            )
    return table([*head, *(each.name for each in fields(Losses))], body)


def by_step(s: Scaling, threads: int, *, count: int) -> str:
    """The steps that lose most, in microseconds, and what limits them."""
    names = [each.name for each in fields(Losses)]
    rows = [
        (alone, shared, losses(alone, shared, s.trip))
        for alone, shared in zip(s.steps[1], s.steps[threads], strict=True)
    ]
    rows.sort(key=lambda row: -row[2].us)
    body = [
        [f"`{one.key}`", f"{one.us(0):.0f}", f"{shared.us(s.trip):.1f}", f"{one.us(0) / shared.us(s.trip):.1f}"]
        + [f"{getattr(lost, name):.1f}" for name in names]
        + [lost.limit]
        for one, shared, lost in rows[:count]
    ]
    head = ["step", "one thread, us", f"{threads} threads", "faster", *names, "limit"]
    return f"{s.net}, {s.rows} rows:\n\n{table(head, body)}"


def missed(found: Sequence[Scaling]) -> Iterator[str]:
    """What is not as it should be, in words."""
    for s in found:
        where = f"{s.net}, {s.rows} rows"
        for count, real in s.real.items():
            if abs(s.us(count) / real - 1) > TOLERANCE:
                yield f"{where}: {count} threads take {real:.0f} us, predicted {s.us(count):.0f}"
        for count, least in AIMS.get(s.net, {}).items() if s.rows == "uniform" else ():
            if count in s.steps and s.faster(count) < least:
                yield f"{where}: {s.faster(count):.1f} times faster on {count} threads, expected {least:g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, measure, print."""
    p = parser_of("studies.scaling", "Speed on more threads than there are cores, predicted.")
    p.add_argument("--nets", nargs="+", default=_NETS, metavar="NET", help="from examples/nets")
    p.add_argument("--n", type=int, default=16, help="output channels of a block (default: 16)")
    p.add_argument("--sparsity", type=float, default=0.75, help="share of pruned blocks (default: 0.75)")
    p.add_argument("--rows", nargs="+", default=("uniform", "unequal"), choices=("uniform", "unequal"))
    p.add_argument("--threads", nargs="+", type=int, default=_THREADS, help="beside 1 and 2 (default: up to 64)")
    p.add_argument("--steps", nargs="*", type=int, default=[8, 16], help="threads to show steps of (default: 8 16)")
    p.add_argument("--count", type=int, default=15, help="steps to show (default: 15)")
    p.add_argument("--rounds", type=int, default=2, help="turns that count (default: 2)")
    p.add_argument("--out", type=Path, default=Path("scaling.json"), help="all figures (default: scaling.json)")
    add_shape(p)
    options = p.parse_args(arguments)
    threads = sorted({1, 2, *options.threads})
    found = []
    with tempfile.TemporaryDirectory() as folder:
        built = []
        for net in options.nets:
            for rows in options.rows:
                tell(f"{net}, {rows} rows: compile")
                cell = Cell(net, options.n, options.sparsity, 1, options.width, options.size)
                model, _ = pruned_net(cell, uniform=rows == "uniform")
                program = Path(folder) / f"{net}_{rows}"
                keys = build(model, torch.zeros(1, 3, options.size, options.size), program)
                built.append((net, rows, program, keys))
        for net, rows, program, keys in built:
            found.append(measure(net, program, keys, rows=rows, threads=threads, rounds=options.rounds))
    options.out.write_text(json.dumps([asdict(s) for s in found], indent=1))
    print(overview(found))
    for s in found:
        for count in options.steps:
            if count in s.steps:
                print(f"\n{by_step(s, count, count=options.count)}")
    failures = list(missed(found))
    for text in failures:
        print(f"\n{text}")
    return int(bool(failures))


if __name__ == "__main__":
    raise SystemExit(main())
