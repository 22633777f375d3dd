"""How much a function does, whatever the machine: the lines of the package's Python that it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import sparsecc

_PACKAGE = str(Path(sparsecc.__file__).parent)


def lines_run(function: Callable[[], object]) -> int:
    """Lines of sparsecc that a call runs, each as often as it is run; NumPy's work counts as the line that calls it."""
    lines = [0]

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            return None
        lines[0] += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines[0]
