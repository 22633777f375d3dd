"""What users may choose."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsecc.errors import UserError


@dataclass(frozen=True)
class Options:
    """Options of :func:`sparsecc.compile`; see there."""

    threads: int | None = None
    verify: bool | float = True
    keep_dense: Sequence[str] = ()
    min_speedup: float = 1.05
    name: str = "model"
    dump: Path | None = None
    cc: str | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or not self.name.isascii() or keyword.iskeyword(self.name):
            raise UserError(f"name: found {self.name!r}, expected a C identifier such as 'model'")
        if self.threads is not None and self.threads < 1:
            raise UserError(f"threads: found {self.threads}, expected a positive number, or None for all cores")
        if not isinstance(self.verify, bool) and not 0 < self.verify < 1:
            raise UserError(f"verify: found {self.verify}, expected True, False or a tolerance between 0 and 1")

    @property
    def tolerance(self) -> float | None:
        """Largest error relative to the largest output that passes; None to skip the check."""
        if self.verify is True:
            return 1e-4
        return None if self.verify is False else float(self.verify)
