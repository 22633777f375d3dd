"""A folder for files that tests share as long as their process runs."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path


@functools.cache
def folder() -> Path:
    """The folder, made when it is first asked for; the process removes it as it ends."""
    path = Path(tempfile.mkdtemp(prefix="sparsecc-test-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
