"""Where the runtime's C sources are, and how templates are filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

#: Folder of the C files that every generated ``main.c`` includes.
SOURCES = Path(__file__).parent / "csrc"


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with a value in place of every ``@name@``; what stands in a value is not looked at."""
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], template)
