"""Writes a library's digest into it: the last change of the file."""

from __future__ import annotations

import mmap
from pathlib import Path

from sparsecc.errors import InternalError
from sparsecc.runtime import elf
from sparsecc.runtime.seal import find_seal, sealed


def seal(path: Path) -> None:
    """Put size and digest of a linked library into the place that ``csrc/scc_check.c`` keeps for them.

    Raises
    ------
    InternalError
        There is no such place.
    """
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data, memoryview(data) as view:
        place = find_seal(elf.parse(view, name=path.name))
        if place is None:
            raise InternalError("link: the library has no place for its digest")
        sealed(view, at=place.offset, read=lambda: data.madvise(mmap.MADV_DONTNEED))  # weights are large
