"""Libraries that have no file of their own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sparsecc.runtime.binding import Instance
from sparsecc.runtime.library import Library
from sparsecc.runtime.scratch import scratch_folder

_lock = threading.Lock()


def _new_lock() -> None:
    """In a forked child, the lock may be held by a thread that does not exist there."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


class CarriedLibrary(Library):
    """A library that was loaded from a temporary file: it pickles as its bytes.

    Until it is called it takes little memory, for it may only be verified and saved: its instance is a lean one. The
    first call from outside of :meth:`leanly` puts an ordinary one in its place.
    """

    _stays_lean = False

    @contextmanager
    def leanly(self) -> Iterator[CarriedLibrary]:
        """Take little memory for the calls in this block, and more time."""
        self._stays_lean = True
        try:
            yield self
        finally:
            self._stays_lean = False

    def close(self) -> None:
        """As :meth:`Library.close` does; not while a first call makes the instance."""
        with _lock:
            super().close()

    def __reduce__(self) -> tuple[Any, ...]:
        return from_bytes, (self._image.content(), self.path.name, self._asked)

    def _first_instance(self) -> Instance:
        return Instance(self._image, lean=True)

    def _ready(self) -> Instance:
        instance = self._live()
        if self._stays_lean or not instance.is_lean:
            return instance
        with _lock:
            if self._live().is_lean:
                instance = Instance(self._image)
                instance.set_threads(self._asked)
                self._instance = instance
            return self._live()


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
