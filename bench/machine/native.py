"""Small C programs of the benchmark, compiled for this very CPU."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sys
import tempfile
from pathlib import Path

_FLAGS = ("-std=gnu11", "-O3", "-mcpu=native", "-fPIC", "-shared", "-fno-sanitize=all", "-Wall", "-Werror")


@functools.cache
def native(name: str) -> ctypes.CDLL:
    """Compile ``csrc/<name>.c`` and load it."""
    source = Path(__file__).parent / "csrc" / f"{name}.c"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        library = Path(folder) / f"{name}.so"
        command = (sys.executable, "-m", "ziglang", "cc", *_FLAGS, str(source), "-o", str(library), "-lpthread")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{source.name}: the C compiler failed:\n{done.stderr.strip()}")
        return ctypes.CDLL(str(library))
