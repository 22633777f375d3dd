"""Arrays whose memory is that of a file: what was read of them can be given back."""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

#: bytes that are read at once
PIECE = 4 << 20
#: what :func:`mapped` made, by address: views that PyTorch makes of an array do not say whose memory they have
_mappings: dict[int, weakref.ref[mmap.mmap]] = {}


def mapped(file: IO[bytes]) -> NDArray[np.uint8]:
    """All bytes of a file as a read-only array. Raises OSError."""
    found = np.memmap(file, np.uint8, "r")
    owner: Any = found
    while not isinstance(owner, mmap.mmap):
        owner = owner.base
    address = found.ctypes.data

    def gone(reference: weakref.ref[mmap.mmap]) -> None:
        if _mappings.get(address) is reference:  # else there is a new one in its place
            del _mappings[address]

    _mappings[address] = weakref.ref(owner, gone)
    return found


def mapping_of(array: NDArray[Any]) -> mmap.mmap | None:
    """What an array on disk is read through; also of a view, whoever made it. None for an array in memory."""
    address = array.ctypes.data
    for start, reference in list(_mappings.items()):
        mapping = reference() if start <= address else None
        if mapping is not None and address < start + len(mapping):
            return mapping
    return None


def forget(array: NDArray[Any]) -> None:
    """Give memory back that holds what was read of an array on disk; nothing for others."""
    mapping = mapping_of(array)
    if mapping is not None:
        mapping.madvise(mmap.MADV_DONTNEED)


def pieces(array: NDArray[Any]) -> Iterator[memoryview]:
    """The bytes of a C-contiguous array, some at a time; of one on disk, memory has no more than these."""
    view = array.reshape(-1).view(np.uint8).data
    for start in range(0, len(view), PIECE):
        yield view[start : start + PIECE]
        forget(array)


def in_parts(array: NDArray[Any], rows: int) -> Iterator[slice]:
    """Slices of ``rows`` that together read an array, each some of it; of one on disk, memory has no more than that."""
    step = max(1, rows * PIECE // max(1, array.nbytes))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
        forget(array)
