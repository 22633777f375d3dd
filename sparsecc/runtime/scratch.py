"""Temporary folders that are gone when they are no longer needed, also after their process was killed.

A process holds a lock on each of its folders, which ends with the process however it ends. The next one that needs a
folder removes those that nobody holds. Process ids would not do: they are used again, and containers that share a
folder have the same ones.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsecc.errors import OutputError

_NAME = re.compile(r"sparsecc-scratch-[0-9a-f]{16}")
#: where Python goes on its own when the folder that was asked for is full
_ELSEWHERE = ("/tmp", "/var/tmp", "/usr/tmp")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder that is gone when the block ends.

    Raises
    ------
    OutputError
        There is no place for it, or no room in it.
    """
    place = ""
    try:
        place = scratch_place()
        remove_old(place)
        with _held_folder(place) as folder:
            yield folder
    except OSError as error:
        where, advice = f" in {place}" if place else "", "free some disk space or set TMPDIR to another folder"
        raise OutputError(f"can't write temporary files: {error.strerror or error}{where}; {advice}") from error


def scratch_place() -> str:
    """Where temporary files go: the folder that was asked for, even if it is full."""
    found, wanted = tempfile.gettempdir(), os.environ.get("TMPDIR")
    return wanted if wanted and found in (*_ELSEWHERE, os.getcwd()) else found


@contextmanager
def _held_folder(place: str) -> Iterator[Path]:
    """A new folder with a lock on it."""
    descriptor, folder = None, Path(place)
    try:
        while descriptor is None:  # again if another process takes it for an old one before it is locked
            folder = Path(place, f"sparsecc-scratch-{secrets.token_hex(8)}")
            os.mkdir(folder, 0o700)
            descriptor = hold(folder)
        yield folder
    finally:
        try:
            if folder != Path(place):
                shutil.rmtree(folder, ignore_errors=True)
        except BaseException:  # Ctrl-C just now
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            if descriptor is not None:
                os.close(descriptor)


def hold(folder: Path) -> int | None:
    """Lock a folder of ours and give its descriptor; None if it is being removed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks: then nobody can lock it, and it is never taken for an old one
        return descriptor
    if os.fstat(descriptor).st_nlink:
        return descriptor
    os.close(descriptor)
    return None


@functools.cache
def remove_old(place: str) -> None:
    """Remove this user's folders that nobody holds; once for each place. Never follows links."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in [entry for entry in entries if _NAME.fullmatch(entry.name)]:
            with contextlib.suppress(OSError):
                _remove_if_old(entry.path)


def _remove_if_old(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != 0o700:
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(status, os.lstat(path)):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)
