"""Compiled libraries on disk, found again by what they were compiled from."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from sparsecc.errors import LibraryError, OutputError, UserError
from sparsecc.runtime import Library

#: a folder for them, or ``off``
FOLDER = "SPARSECC_CACHE"
#: most bytes of all of them; the ones that were not used for the longest time go
MOST_BYTES = "SPARSECC_CACHE_BYTES"
_DEFAULT_BYTES = 2 << 30
#: age in seconds from which on nobody writes a temporary file any more
_LEFT_S = 86400.0
#: what a library's key is called in what it carries
META = "graph"


def kept_folder() -> Path | None:
    """``$SPARSECC_CACHE``, else ``$XDG_CACHE_HOME/sparsecc/libraries``, else in ``~/.cache``; None if it is ``off``."""
    chosen = os.environ.get(FOLDER, "")
    if chosen == "off":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(chosen) if chosen else Path(home) / "sparsecc" / "libraries"


def find(key: str, *, threads: int | None) -> Library | None:
    """The library of a key; None if there is none. One that is damaged, or another's, is removed."""
    folder = kept_folder()
    if folder is None or not (path := folder / f"{key}.so").exists():
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # used just now
    try:
        library = Library(path, threads=threads)
    except LibraryError:
        library = None
    if library is not None and library.meta.get(META) == key:
        return library
    with contextlib.suppress(OSError):
        path.unlink()
    return None


def keep(key: str, library: Library) -> None:
    """Put a library into the folder, whole or not at all, and remove old ones beyond the bound.

    Raises
    ------
    OutputError
        The folder can't be written.
    """
    folder, most = kept_folder(), most_bytes()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        library.save(folder / f"{key}.so")
        _shrink(folder, most, but=f"{key}.so")
    except OSError as error:
        raise OutputError(
            f"can't keep a library in {folder}: {error.strerror}; set {FOLDER} to another folder"
        ) from error


def most_bytes() -> int:
    """``$SPARSECC_CACHE_BYTES``, else 2 GiB; UserError if it is no number."""
    text = os.environ.get(MOST_BYTES, "")
    if text and not (text.isascii() and text.isdigit()):
        raise UserError(f"{MOST_BYTES}: found {text!r}, expected a number of bytes such as 1000000000")
    return int(text) if text else _DEFAULT_BYTES


def _shrink(folder: Path, most: int, *, but: str) -> None:
    """Remove libraries, the ones that were used longest ago first; not the newest, however large it is."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process removes, too
            status = path.stat()
            if path.suffix == ".so":
                found.append((status.st_mtime_ns, status.st_size, path))
            elif path.suffix == ".tmp" and time.time() - status.st_mtime > _LEFT_S:  # of a process that was killed
                path.unlink()
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total > most and path.name != but:
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
