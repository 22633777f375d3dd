"""Tables on a terminal: its width, and its wish for no colours."""

from __future__ import annotations

import io
import re
import sys

import pytest
from cli_case import Made

from sparsecc.cli import main

_COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3|4|9|10)[0-8](?:;\d+)*m")
_SEQUENCE = re.compile(r"\x1b\[[\d;]*m")


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("arguments", [["targets"], ["inspect", "LIBRARY"], ["inspect", "MODEL"]], ids=" ".join)
def test_tables_on_a_terminal(arguments: list[str], width: int, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {"LIBRARY": str(made.library), "MODEL": str(made.model)}
    call = [paths.get(word, word) for word in arguments]
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    shown = {}
    for no_colour in ("", "1"):
        monkeypatch.setenv("NO_COLOR", no_colour)
        monkeypatch.setattr(sys, "stdout", Terminal())
        assert main(call) == 0
        shown[no_colour] = sys.stdout.getvalue()
    has_colours = arguments[0] == "inspect"  # what NO_COLOR takes away must have been there
    assert bool(_COLOUR.search(shown[""])) is has_colours
    assert not _COLOUR.search(shown["1"])
    plain = [_SEQUENCE.sub("", shown[key]) for key in ("", "1")]
    assert plain[0] == plain[1]
    names = paths.values()
    assert max(len(line) for line in plain[1].splitlines() if not any(name in line for name in names)) <= width
