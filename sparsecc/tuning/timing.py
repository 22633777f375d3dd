"""What a candidate's measurement says, and how much of it can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sparsecc.target.records.record import DIGITS

#: a round counts unless the fixed piece of work took longer than this times its least time ...
_PROBE = 1.15
#: ... or the first candidate longer than this times its median
_CANARY = 1.3
#: largest error of a right candidate, relative to the largest value: sums of 4608 products in another order
TOLERANCE = 1e-4


#: of the fixed piece of work: 20000 multiply-adds of integers, each of which waits for the one before; 3 cycles for the
#: product and 1 for the sum on x86 cores, about as much on Cortex-A
PROBE_CYCLES = 80_000


@dataclass(frozen=True)
class Round:
    """Nanoseconds of one turn: a fixed piece of work (0 for none), the cost model's config, the candidate."""

    probe: float
    default: float
    own: float


@dataclass(frozen=True)
class Timing:
    """A right candidate.

    Attributes
    ----------
    us, default_us : float
        Median microseconds, its own and those of the cost model's config in the same rounds.
    spread : float
        Width of the middle half of its times, as a share of the median.
    rounds, disturbed : int
        Rounds that count, and those that don't.
    error : float
        Largest difference from the reference, relative to the largest value.
    cpu : str
        Where it was measured.
    ghz : float
        Clock of the core, from the least time of the fixed piece of work; 0 where it is not known.
    """

    us: float
    default_us: float
    spread: float
    rounds: int
    disturbed: int
    error: float
    cpu: str
    ghz: float = 0.0

    @property
    def relative(self) -> float:
        """Time as a share of the cost model's config's."""
        return self.us / self.default_us


@dataclass(frozen=True)
class Failure:
    """A candidate that has no time.

    ``kind`` is ``wrong`` (a bug of the compiler), ``crash``, ``hang``, ``garbage`` or ``lost`` (the connection).
    """

    kind: str
    message: str


Outcome = Timing | Failure


def judge(rounds: Sequence[Round], *, error: float, cpu: str) -> Outcome:
    """A timing of the rounds that were not disturbed, or why there is none."""
    if not error <= TOLERANCE:
        return Failure("wrong", f"differs from the reference by {error:.1e} of the largest value")
    if not rounds:
        return Failure("garbage", "not timed at all")
    calm = _calm(rounds)
    own = sorted(r.own for r in calm)
    us = median(own) / 1e3
    quarter = len(own) // 4
    spread = (own[-1 - quarter] - own[quarter]) / 1e3 / us
    ratio = median(r.own / r.default for r in calm)
    probe = min(r.probe for r in rounds)
    ghz = PROBE_CYCLES / probe if probe else 0.0
    # as the log has them: what a search found best must be what its records say
    us, default_us = round(us, DIGITS), round(us / ratio, DIGITS)
    return Timing(us, default_us, spread, len(calm), len(rounds) - len(calm), error, cpu, ghz)


def _calm(rounds: Sequence[Round]) -> list[Round]:
    """Undisturbed rounds; all of them when there are none."""
    probe, canary = min(r.probe for r in rounds), median(r.default for r in rounds)
    calm = [r for r in rounds if r.probe <= _PROBE * probe and r.default <= _CANARY * canary]
    return calm or list(rounds)
