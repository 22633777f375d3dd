"""Fit the constants of this machine's core: time kernels, fit, time those that the fit prefers, fit again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sparsecc.errors import RunnerError, ToolchainError
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower.config import ConvConfig
from sparsecc.lower.cost.direct import DirectWork
from sparsecc.lower.cost.prefetch import PREFETCH_DISTANCE
from sparsecc.runtime.scratch import scratch_folder
from sparsecc.target import Core, Target
from sparsecc.target.native.constants import Constants
from sparsecc.tuning.candidates import write_candidates
from sparsecc.tuning.fit.samples import LAYERS, PREFETCHED, Sample, samples
from sparsecc.tuning.fit.solve import RANGES, Solution, Timings, solve
from sparsecc.tuning.fit.terms import ISSUE_WIDTHS, SET_FACTORS, terms_of
from sparsecc.tuning.runners.command import CommandRunner
from sparsecc.tuning.tasks import Candidate
from sparsecc.tuning.timing import Outcome, Timing

#: kernels of a program; seconds that one takes to build and time, before any has
_BATCH, _USUAL_S = 60, 0.2
#: timings without which there is no fit; times that what the fit prefers is timed, too
_LEAST_TIMINGS, _AGAIN = 60, 2
_ROUNDS = 5
#: time of a kernel that asks for weights ahead, over that of one that does not, that shows a gain
_GAIN = 0.97

Runs = Callable[[Sequence[Candidate]], dict[int, Outcome]]


@dataclass(frozen=True)
class Fit:
    """What was found.

    Attributes
    ----------
    constants : Constants
    regret : float
        See :class:`~sparsecc.tuning.fit.solve.Solution`.
    seconds : float
        That it took.
    """

    constants: Constants
    regret: float
    seconds: float


def fit(target: Target, *, seconds: float, cc: str | None = None, progress: Callable[[str], None] | None = None) -> Fit:
    """Fit the constants of the core that this runs on.

    What is known of the target's core plays no part but for what follows from code: a search begins in the middle of
    what is plausible.

    Parameters
    ----------
    target : Target
        With this machine's figures.
    seconds : float
        After which no more kernels are built; fewer timings make a worse fit.
    cc : str, optional
        C compiler.
    progress : callable, optional
        Called with what happens next.

    Raises
    ------
    ToolchainError
        Kernels can't be built or run here, or too few of them in this time.
    """
    start = time.monotonic()
    blank = replace(target, core_model=_blank(target.core_model))
    measured = Measured(blank, deadline=start + seconds, cc=cc)
    tell = progress or (lambda stage: None)
    tell("build and time kernels")
    prefetches = measured.prefetches()
    measured.add([(i, config) for i, s in enumerate(measured.samples) for config in s.first(seed=i)])
    solution = measured.solve(seconds=seconds)
    for _ in range(_AGAIN):
        tell(f"build and time what {len(measured.cycles)} timings prefer")
        fitted = replace(blank, core_model=replace(blank.core_model, **solution.constants))  # type: ignore[arg-type]
        if not measured.add([(i, config) for i, s in enumerate(measured.samples) for config in s.promising(fitted)]):
            break
        solution = measured.solve(seconds=seconds)
    constants = Constants({**solution.constants, "prefetches_taps": prefetches}, len(measured.cycles))
    return Fit(constants, solution.regret, time.monotonic() - start)


def _blank(core: Core) -> Core:
    """The core without what a fit finds: kernels are chosen for timing as if nothing were known."""
    middle = {name: value for name, (value, _, _) in RANGES.items()}
    width, factor = ISSUE_WIDTHS[len(ISSUE_WIDTHS) // 2], SET_FACTORS[len(SET_FACTORS) // 2]
    blank = replace(core, issue_width=width, set_factor=factor, prefetches_taps=False)
    return replace(blank, **middle)  # type: ignore[arg-type]


@dataclass(eq=False)
class Measured:
    """Cycles of kernels, as far as the time goes."""

    target: Target
    deadline: float
    cc: str | None
    samples: list[Sample] = field(init=False)
    cycles: dict[tuple[int, ConvConfig], float] = field(default_factory=dict)
    _each_s: float = _USUAL_S

    def __post_init__(self) -> None:
        self.samples = list(samples(LAYERS, self.target))

    def prefetches(self) -> bool:
        """Whether blocks of several taps gain from asking for weights ahead."""
        sample = next(samples([PREFETCHED], self.target))
        best = sample.promising(self.target)[0]
        assert best.direct is not None, "configs of the direct kernel"
        tried = [replace(best, kernel=replace(best.direct, prefetch=n)) for n in (0, PREFETCH_DISTANCE)]
        found = self.run([sample.task.candidate(config) for config in tried])
        plain, ahead = found.get(0), found.get(1)
        if not (isinstance(plain, Timing) and isinstance(ahead, Timing)):
            raise ToolchainError(
                "fitting the cost model: kernels can't be timed here; name a target instead of 'native'"
            )
        return ahead.relative < _GAIN

    def add(self, wanted: Sequence[tuple[int, ConvConfig]]) -> bool:
        """Time kernels that are not timed yet, those of all layers in turns; False when there was no time for any."""
        new = [pair for pair in dict.fromkeys(_in_turns(wanted)) if pair not in self.cycles]
        before = len(self.cycles)
        while new:
            count = min(_BATCH, int((self.deadline - time.monotonic()) / self._each_s))
            if count < 1:
                break
            self.batch(new[:count])
            new = new[count:]
        return len(self.cycles) > before

    def batch(self, pairs: Sequence[tuple[int, ConvConfig]]) -> None:
        """Time configs, each of a layer by its number, in turns."""
        start = time.monotonic()
        for number, outcome in self.run([self.samples[i].candidate(config) for i, config in pairs]).items():
            if isinstance(outcome, Timing) and outcome.ghz:
                self.cycles[pairs[number]] = outcome.us * outcome.ghz * 1e3
        self._each_s = (time.monotonic() - start) / len(pairs)

    def run(self, candidates: Sequence[Candidate]) -> dict[int, Outcome]:
        """Build and time kernels; ToolchainError where the program can't be built or run."""
        try:
            with scratch_folder() as folder:
                write_candidates(candidates, self.target, folder / "measure", cc=self.cc)
                runner = CommandRunner(cc=self.cc)
                return dict(runner.run(folder / "measure", len(candidates), threads=1, rounds=_ROUNDS))
        except RunnerError as error:
            raise ToolchainError(f"fitting the cost model: {error}; name a target instead of 'native'") from error

    def solve(self, *, seconds: float) -> Solution:
        """Fit what is there."""
        if len(self.cycles) < _LEAST_TIMINGS:
            raise ToolchainError(
                f"fitting the cost model: found {len(self.cycles)} timings after {seconds:g} s, expected "
                f"{_LEAST_TIMINGS} or more; grant more time"
            )
        pairs = list(self.cycles)
        kernels = [self._kernel(*pair) for pair in pairs]
        layers = np.unique([i for i, _ in pairs], return_inverse=True)[1]
        return solve(Timings(terms_of(kernels, self.target), np.array([self.cycles[pair] for pair in pairs]), layers))

    def _kernel(self, layer: int, config: ConvConfig) -> tuple[DirectWork, DirectConfig]:
        assert config.direct is not None, "configs of the direct kernel"
        return self.samples[layer].works[config.block_n], config.direct


def _in_turns(pairs: Sequence[tuple[int, ConvConfig]]) -> list[tuple[int, ConvConfig]]:
    """One of every layer, then a second one of every layer, and so on."""
    seen: dict[int, int] = {}
    turns = []
    for layer, config in pairs:
        seen[layer] = seen.get(layer, -1) + 1
        turns.append((seen[layer], layer, config))
    return [(layer, config) for _, layer, config in sorted(turns, key=lambda turn: turn[:2])]
