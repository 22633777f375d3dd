"""The folder where what was measured of this machine is kept, and its files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparsecc.errors import OutputError
from sparsecc.runtime.files import new_file
from sparsecc.untrusted import parse_json, read_file

#: of a file
_MOST_BYTES = 1 << 16


def folder() -> Path:
    """``$XDG_CACHE_HOME/sparsecc``, else ``~/.cache/sparsecc``."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "sparsecc"


def keep(path: Path, data: Mapping[str, Any]) -> None:
    """Write a file; one that can't be written only means measuring again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as file:
            file.write(json.dumps(dict(data), indent=1).encode())
    except (OSError, OutputError):
        pass


def read_kept(path: Path) -> Any:
    """What a file has.

    Raises
    ------
    OSError, ValueError
        It can't be read, or is not JSON.
    """
    return parse_json(read_file(path, most_bytes=_MOST_BYTES))
