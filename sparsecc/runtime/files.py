"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sparsecc.errors import OutputError

#: random bytes in a temporary file's name, and how that ends
_RANDOM, _END = 4, ".tmp"
#: seconds until a file that nobody holds is taken for one that a killed process left
_YOUNG_S = 10.0
_ADVICE = {
    errno.ENOSPC: "free some disk space or choose another folder",
    errno.EDQUOT: "free some of your disk quota or choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "you may not write there: choose another folder or change its permissions",
    errno.EPERM: "you may not write there: choose another folder or change its permissions",
    errno.ENOENT: "the folder does not exist: create it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
}


@contextmanager
def new_file(path: str | os.PathLike[str], *, executable: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of ``path`` when the block ends without an error.

    A process that has the old file open keeps the old content. What killed processes left beside ``path`` is removed.

    Raises
    ------
    OutputError
        The file can't be written, or is a folder, a device or a pipe; nothing is left behind.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        _check_ordinary(path)
        _remove_left(path)
        try:
            with _held(temporary, 0o777 if executable else 0o666) as descriptor:
                with open(descriptor, "wb") as file:
                    yield file
                os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise write_error(path, error) from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OutputError if ``path`` can't be written; changes nothing."""
    path = Path(path)
    temporary = _beside(path)
    try:
        _check_ordinary(path)
        try:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def is_folder(path: str | os.PathLike[str]) -> bool:
    """True for a path that ends like a folder, and for a folder that is there unless it is called like a library."""
    text = os.fspath(path)
    return text.endswith((os.sep, "/")) or (Path(text).is_dir() and Path(text).suffix not in (".so", ".a"))


def write_error(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """The error to raise when writing ``path`` failed with ``error``."""
    advice = _ADVICE.get(error.errno or 0, "choose another folder")
    return OutputError(f"can't write {os.fspath(path)}: {error.strerror or error}; {advice}")


def _check_ordinary(path: Path) -> None:
    """A finished file takes the place of what is there: that must not be a folder, a device or a pipe."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        found = "folder" if stat.S_ISDIR(mode) else "device, pipe or socket"
        raise OutputError(
            f"can't write {path}: there is a {found} of that name, expected an ordinary file or none; "
            "choose another name"
        )


def _beside(path: Path) -> Path:
    """A new name in the same folder, so that renaming it to ``path`` is one step."""
    return path.with_name(f"{_stem(path)}{secrets.token_hex(_RANDOM)}{_END}")


def _stem(path: Path) -> str:
    """How names of files for ``path`` begin."""
    return f".{path.name[:200]}."


@contextmanager
def _held(temporary: Path, mode: int) -> Iterator[int]:
    """A new file to write to, locked until the block ends: so others know that its process lives."""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    lock = os.dup(descriptor)
    try:
        with suppress(OSError):  # a file system without locks: then nobody can have one, and nothing is removed
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(lock)


def _remove_left(path: Path) -> None:
    """Remove what processes that were killed left when they wrote ``path``; what can't be removed stays."""
    stem = _stem(path)
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            middle = entry.name.removeprefix(stem).removesuffix(_END)
            if entry.name == f"{stem}{middle}{_END}" and len(middle) == 2 * _RANDOM:
                with suppress(OSError):
                    _remove_if_left(entry)


def _remove_if_left(entry: os.DirEntry[str]) -> None:
    status = entry.stat(follow_symlinks=False)
    # a file of a moment ago may not be locked yet
    if not stat.S_ISREG(status.st_mode) or time.time() - status.st_mtime < _YOUNG_S:
        return
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(entry.path)
    finally:
        os.close(descriptor)
