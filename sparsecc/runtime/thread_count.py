"""How many threads the user asks for, by argument or environment."""

from __future__ import annotations

import os

from sparsecc.errors import UserError
from sparsecc.untrusted.numbers import as_int

#: threads of all runs together where nobody says how many a library has; ``csrc/scc_machine.c`` reads it
VARIABLE = "SPARSECC_THREADS"

#: above what any library uses, and a number that C can take
_MOST_THREADS = 1 << 20


def asked_threads(threads: int | None) -> int:
    """The number that a library is told: 0 for its own choice, which the environment may make.

    Raises
    ------
    UserError
        It is no number of threads, or the environment decides and has none.
    """
    count = 0 if threads is None else as_int(threads)
    if count is None or count < 0:
        raise UserError(f"threads: found {threads!r}, expected a number of threads, or 0 for all cores")
    if not count:
        check_environment()
    return min(count, _MOST_THREADS)


def check_environment() -> None:
    """UserError for what the library would ignore, for it can't say so: anything but decimal digits, or nothing."""
    text = os.environ.get(VARIABLE, "")
    if text and not (text.isascii() and text.isdigit()):
        raise UserError(f"{VARIABLE}: found {text!r}, expected a number of threads such as 2, or 0 for all cores")
