"""Where the command line writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import io
import json
import sys
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from sparsecc.text import printable

#: columns of what goes to a file or a pipe
PIPE_WIDTH = 100


def stdout() -> Console:
    """For results; colours only on a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an encoding that lacks a letter is no reason to fail
    return _console(sys.stdout)


def stderr() -> Console:
    """For progress and errors; colours only on a terminal."""
    return _console(sys.stderr)


def say(console: Console, text: str | Text = "", *, style: str = "") -> None:
    """Print lines: wrapped between words on a terminal, whole elsewhere, so that they can be searched for."""
    console.print(safe_text(text, keep="\n"), style=style or None, soft_wrap=not console.is_terminal)


def safe_text(text: str | Text, *, keep: str = "") -> Text:
    """The text with control characters as escapes: names of layers and files may hold any."""
    if isinstance(text, str):
        return Text(printable(text, keep=keep))
    safe = printable(text.plain, keep=keep)
    return text.copy() if safe == text.plain else Text(safe, style=text.style)


def print_json(document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document, indent=2, allow_nan=False))


class _Console(Console):
    """Leaves a closed pipe to the caller; rich would end the process."""

    def on_broken_pipe(self) -> None:
        raise  # called while the BrokenPipeError is handled


def _console(file: IO[str]) -> Console:
    # names of layers and files are data: nothing in them is markup, emoji or a number to colour
    return _Console(file=file, width=None if file.isatty() else PIPE_WIDTH, markup=False, emoji=False, highlight=False)
