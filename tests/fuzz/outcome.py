"""How a case ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ending = Literal["right", "refused", "bug", "wrong", "foreign", "signal", "hang"]

#: endings and what they mean, good ones first
MEANING: dict[Ending, str] = {
    "right": "the right result",
    "refused": "an error that names what is wrong",
    "bug": "an error that says it is a bug of sparsecc",
    "wrong": "a wrong result without a word",
    "foreign": "an exception that is not sparsecc's",
    "signal": "death by a signal",
    "hang": "no end within the time allowed",
}
GOOD: frozenset[Ending] = frozenset({"right", "refused"})


@dataclass(frozen=True)
class Outcome:
    """How a case ended, and the message or the place that tells it from others."""

    ending: Ending
    detail: str = ""

    @property
    def is_good(self) -> bool:
        """Whether users can live with it."""
        return self.ending in GOOD
