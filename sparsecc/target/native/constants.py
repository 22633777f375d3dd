"""Constants of this machine's core for the cost model: fitted once, kept beside its figures, read back with care."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sparsecc.errors import TargetError
from sparsecc.target import Core, Target
from sparsecc.target.checks import check_range
from sparsecc.target.native.keep import folder, keep, read_kept
from sparsecc.untrusted import check_members

#: grants seconds to fit a core that we don't know
VARIABLE = "SPARSECC_FIT_SECONDS"

#: of the meaning of constants: what the cost model makes of them, and code that LLVM makes of kernels
_VERSION = 1
#: those that a fit finds; the others follow from code, or are measured with the figures
FITTED = (
    "issue_width", "block_cycles", "dense_block_cycles", "accumulator_cycles", "tile_cycles", "crowded_cycles",
    "l2_line_cycles", "l3_line_cycles", "stream_factor", "reread_share", "set_factor", "copied_vector_cycles",
    "prefetches_taps",
)  # fmt: skip
#: beyond what any core has
_MOST = 1e4


@dataclass(frozen=True)
class Constants:
    """What a fit found.

    Attributes
    ----------
    values : mapping of str to float or bool
        Fields of :class:`~sparsecc.target.Core`, those of FITTED.
    timings : int
        Kernels that were timed for it.
    """

    values: Mapping[str, float]
    timings: int

    def __post_init__(self) -> None:
        if set(self.values) != set(FITTED):
            raise TargetError(f"constants: found {sorted(self.values)}, expected {sorted(FITTED)}")
        for name, value in self.values.items():
            check_range(f"constants: {name}", value, most=_MOST)
        if not isinstance(self.timings, int) or isinstance(self.timings, bool) or self.timings < 1:
            raise TargetError(f"constants: timings: found {self.timings!r}, expected a whole number above zero")

    def applied_to(self, core: Core) -> Core:
        """The core with these constants.

        Raises
        ------
        TargetError
            One has a value that it can't have.
        """
        source = f"fitted to {self.timings} timings of kernels on this machine"
        return replace(core, name="this-machine", source=source, **self.values)  # type: ignore[arg-type]


def keep_constants(constants: Constants, target: Target, cpu: str | None) -> None:
    """Keep them; a folder that can't be written only means fitting again."""
    data = {"version": _VERSION, "timings": constants.timings, "constants": dict(constants.values)}
    keep(constants_file(target, cpu), data)


def kept_constants(target: Target, cpu: str | None) -> Constants | None:
    """What is kept; None when there is nothing, or nothing of use."""
    try:
        data = check_members(read_kept(constants_file(target, cpu)), needed=("version", "timings", "constants"))
        if data["version"] != _VERSION or isinstance(data["version"], bool):
            return None
        constants = Constants(check_members(data["constants"], needed=FITTED), data["timings"])
        constants.applied_to(target.core_model)
    except (OSError, ValueError, TypeError, TargetError):
        return None
    return constants


def constants_file(target: Target, cpu: str | None) -> Path:
    """Where constants are kept: beside the figures."""
    return folder() / f"core-{cpu or 'unknown'}-{target.name}.json"
