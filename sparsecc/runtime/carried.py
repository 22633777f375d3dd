"""Libraries that have no file of their own."""

from __future__ import annotations

from typing import Any

from sparsecc.runtime.library import Library
from sparsecc.runtime.scratch import scratch_folder


class CarriedLibrary(Library):
    """A library that was loaded from a temporary file: it pickles as its bytes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return from_bytes, (self._image.content(), self.path.name, self._threads)


def from_bytes(content: bytes, name: str, threads: int | None) -> CarriedLibrary:
    """Load a library from its bytes; ``name`` is what messages call it.

    Raises
    ------
    LibraryError
        They are none of a library that can run in this process.
    OutputError
        There is no room for a temporary file.
    """
    with scratch_folder() as folder:
        path = folder / name
        path.write_bytes(content)
        return CarriedLibrary(path, threads=threads)
