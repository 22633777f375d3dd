"""Every thread's share of every step, timed alone: builds the program ``csrc/alone.c``, runs it, reads what it says."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import torch
from torch import nn

from bench.studies.predicted import StepTimes
from sparsecc.build.library import sources_of
from sparsecc.build.link import link_program
from sparsecc.build.toolchain import find_compiler
from sparsecc.options import Options
from sparsecc.pipeline import run
from sparsecc.target.native.calibrate import resolve_here
from sparsecc.target.native.cpu import processor
from sparsecc.target.records.lookup import find_records

_SOURCE = Path(__file__).parent / "csrc" / "alone.c"
#: real runs have all threads, also where these gain nothing: then fewer are used otherwise
_ALL_THREADS = "#define SCC_LEARNS 0"
_HEAD = "sparsecc-alone 1"


@dataclass
class Samples:
    """Times of one number of threads, ns: lists of passes."""

    shares: dict[tuple[int, int, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    serial: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    runs: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    barrier: list[float] = field(default_factory=list)

    def add(self, lines: Iterable[str]) -> None:
        """Take in what the program printed; RuntimeError where it did not come to its end."""
        head, *rest = [line.split() for line in lines] or [[]]
        if " ".join(head[:2]) != _HEAD or rest[-1:] != [["done"]]:
            raise RuntimeError(f"found {' '.join(head)!r} and no end in the program's output, expected {_HEAD!r}")
        for kind, _, *numbers, ns in rest[:-1]:
            match kind, [int(number) for number in numbers]:
                case "share", [step, launch, thread]:
                    self.shares[step, launch, thread].append(float(ns))
                case "serial", [step]:
                    self.serial[step].append(float(ns))
                case "run", [step]:
                    self.runs[step].append(float(ns))
                case "barrier", []:
                    self.barrier.append(float(ns))
                case _:
                    raise RuntimeError(f"found {kind!r} in the program's output, expected a share, a run or a barrier")

    def steps(self, keys: Sequence[str]) -> list[StepTimes]:
        """Medians over passes, us."""
        regions: dict[int, dict[int, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        for (step, launch, thread), ns in self.shares.items():
            regions[step][launch][thread] = median(ns) / 1e3
        return [
            StepTimes(key, median(self.serial[step]) / 1e3, tuple(map(_in_order, _in_order(regions[step]))))
            for step, key in enumerate(keys)
        ]

    def run_us(self) -> list[float]:
        """Every step in the runtime's own pool, medians; empty for more than two threads."""
        return [median(ns) / 1e3 for _, ns in sorted(self.runs.items())]


def _in_order(numbered: Mapping[int, object]) -> tuple:  # type: ignore[type-arg]
    return tuple(numbered[i] for i in range(len(numbered)))


def build(model: nn.Module, images: torch.Tensor, program: Path) -> tuple[str, ...]:
    """Compile a network for this machine into the program; its steps' keys."""
    target, _ = resolve_here("native")
    options = Options(verify=False)
    records = find_records(options.schedules, target, cpu=processor())
    made, _ = run(model, (images,), target, options, progress=lambda stage: None, schedules=records)
    sources = sources_of(
        made.program,
        memory=made.memory,
        kernels=made.kernels,
        triple=target.triple,
        cpu_features=target.cpu_features,
    )
    sources = replace(sources, main=f"{_ALL_THREADS}\n{sources.main}", tail=_SOURCE.read_text())
    link_program(sources, program, compiler=find_compiler(None, triple=target.triple, programs=True))
    return tuple(step.key for step in made.program.steps)


def run_alone(program: Path, *, threads: int, passes: int) -> list[str]:
    """Lines of one run of the program."""
    done = subprocess.run((program, str(threads), str(passes)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the program ended with code {done.returncode}: {done.stderr.strip() or 'no message'}")
    return done.stdout.splitlines()
