"""Opening a file that somebody names: an ordinary one of a size that fits, or an error before anything is read."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_MIB = 1 << 20


class RefusedError(OSError):
    """A file that is not read: ``strerror`` says why, like that of any file that can't be read."""


def open_file(path: str | os.PathLike[str], *, most_bytes: int) -> BufferedReader:
    """Open an ordinary file for reading.

    Parameters
    ----------
    path : path
    most_bytes : int
        A larger file is refused.

    Raises
    ------
    OSError
        It can't be opened.
    RefusedError
        It is a folder, a pipe, a device or a socket, or too large; nothing was read of it, and nobody was waited for.
    """
    path = Path(path)
    try:
        check_kind(path.stat())  # to open a device can have an effect
        # what was an ordinary file may be a pipe by now: to open one must not wait for a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except ValueError as error:  # a zero byte in the name
        raise RefusedError(errno.EINVAL, str(error)) from error
    try:
        status = os.fstat(descriptor)
        check_kind(status)
        if status.st_size > most_bytes:
            raise RefusedError(errno.EFBIG, f"{status.st_size / _MIB:.0f} MiB, more than {most_bytes / _MIB:.0f} MiB")
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: str | os.PathLike[str], *, most_bytes: int) -> bytes:
    """The bytes of an ordinary file; errors are those of :func:`open_file`."""
    with open_file(path, most_bytes=most_bytes) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise RefusedError(errno.EFBIG, f"it grows while it is read, beyond {most_bytes / _MIB:.0f} MiB")
    return data


def available_bytes() -> int:
    """Memory that can be used without pushing others out, as the system says; all there can be if it doesn't."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return 1 << 62


def check_kind(status: os.stat_result) -> None:
    """Raise RefusedError unless it is an ordinary file."""
    for is_kind, name in _KINDS:
        if is_kind(status.st_mode):
            raise RefusedError(errno.EISDIR if name == "a folder" else errno.EINVAL, f"it is {name}, not a file")
