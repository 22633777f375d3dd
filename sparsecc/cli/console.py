"""Where the command line writes: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

from rich.console import Console
from rich.text import Text

#: columns of what goes to a file or a pipe
PIPE_WIDTH = 100


def stdout() -> Console:
    """For results; colours only on a terminal."""
    return _console(sys.stdout)


def stderr() -> Console:
    """For progress and errors; colours only on a terminal."""
    return _console(sys.stderr)


def say(console: Console, text: str | Text = "", *, style: str = "") -> None:
    """Print a line: wrapped between words on a terminal, whole elsewhere, so that it can be searched for."""
    console.print(text, style=style or None, soft_wrap=not console.is_terminal)


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
