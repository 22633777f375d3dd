"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sparsecc.errors import OutputError

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

    A process that has the old file open keeps the old content.

    Raises
    ------
    OutputError
        The file can't be written, or is a folder, a device or a pipe; nothing is left behind.
    """
    path = Path(path)
    temporary = _beside(path)
    try:
        _check_ordinary(path)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o777 if executable else 0o666)
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
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.tmp")
