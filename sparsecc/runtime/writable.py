"""May memory be written? Asked of the kernel, so that a result never ends in a signal."""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
from collections.abc import Callable
from typing import Any

#: madvise: make pages ready for writing, content unchanged; an error if they may not be written (Linux 5.14)
POPULATE_WRITE = 23


def is_writable(start: int, end: int) -> bool:
    """Whether the bytes from address ``start`` to before ``end`` may be written; they are not changed.

    The kernel tells while it readies the pages, which a run would have to do anyway. Where it can't, its table of all
    memory says so.
    """
    if start >= end:
        return True
    first = start - start % mmap.PAGESIZE
    while True:
        ctypes.set_errno(0)
        if _madvise()(first, end - first, POPULATE_WRITE) == 0:
            return True
        if ctypes.get_errno() != errno.EINTR:
            return in_table(start, end)


@functools.cache
def _madvise() -> Callable[..., Any]:
    function = ctypes.CDLL(None, use_errno=True).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


def in_table(start: int, end: int) -> bool:
    """The same from ``/proc/self/maps``: lines ``start-end rwxp ...`` in order of addresses."""
    with open("/proc/self/maps", "rb") as table:
        for line in table:
            place, rights = line.split(None, 2)[:2]
            low, high = (int(word, 16) for word in place.split(b"-"))
            if high <= start:
                continue
            if low > start or rights[1:2] != b"w":
                return False
            start = high
            if start >= end:
                return True
    return False
