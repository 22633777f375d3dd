"""The kinds of cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import cast

from fuzz.outcome import Outcome

Prepare = Callable[[Path, Path], Callable[[Random], Outcome]]


@dataclass(frozen=True)
class Kind:
    """One kind of cases.

    Attributes
    ----------
    module, function : str
        What prepares it, from the folder of samples and one to write to; imported when it is needed, as processes that
        know neither PyTorch nor TVM are forked in a tenth of the time.
    share : int
        Of a hundred cases on files, and of time in a short run; networks are counted apart.
    seconds : float
        After which a case hangs.
    """

    module: str
    function: str
    share: int
    seconds: float

    def prepare(self, samples: Path, folder: Path) -> Callable[[Random], Outcome]:
        """What runs a case."""
        return cast(Prepare, getattr(import_module(self.module), self.function))(samples, folder)


#: those that need no compiler first
KINDS: dict[str, Kind] = {
    "library": Kind("fuzz.libraries", "library_cases", 40, 10),
    "description": Kind("fuzz.libraries", "description_cases", 20, 10),
    "records": Kind("fuzz.records", "record_cases", 12, 60),
    "target": Kind("fuzz.records", "target_cases", 12, 20),
    "figures": Kind("fuzz.records", "figure_cases", 6, 20),
    "package": Kind("fuzz.packages", "package_cases", 10, 60),
    "network": Kind("fuzz.networks", "network_cases", 0, 120),
}
