"""Text that is safe to show: names of layers and files may hold any character at all; counts and bytes for people."""

from __future__ import annotations

import re

#: characters of a name that is used in the name of a file
_MOST_IN_FILE = 60
_STEP = 1000


def printable(text: str, *, keep: str = "") -> str:
    r"""Text whose control characters are written as escapes, as Python writes them.

    Those are all that :meth:`str.isprintable` is false of: what moves the cursor or colours a terminal, ends a line,
    turns the direction of writing round, or can't be encoded. Data keeps exact names; whoever shows them calls this.

    Parameters
    ----------
    text : str
    keep : str
        Characters to leave as they are, such as ``"\n"`` in a text of several lines.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def file_stem(name: str) -> str:
    """A name as part of a file's name: letters, digits, ``.``, ``-`` and ``_`` of its beginning."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)[:_MOST_IN_FILE]


def short(value: float) -> str:
    """Three digits and a unit of thousands: ``4.09 G``."""
    for unit in ("", "k", "M"):
        if value < _STEP - 0.5:
            return f"{value:.3g} {unit}".rstrip()
        value /= _STEP
    return f"{value:.3g} G" if value < _STEP - 0.5 else f"{value:.0f} G"


def in_bytes(value: float) -> str:
    """``1.55 MB``."""
    text = short(value)
    return f"{text}B" if " " in text else f"{text} B"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
