"""A library file in memory: checked, private to this process, loaded.

The file is copied into anonymous memory and loaded from there. So whatever happens to the file afterwards, code that
runs stays as it was; and a new file of the same name is a new library, which ``dlopen`` alone would take for the old
one. Libraries of the same bytes are loaded once, told by their digests: not by names and times, which a changed file
may share with the old one.
"""

from __future__ import annotations

import _ctypes
import ctypes
import itertools
import mmap
import os
import threading
import weakref
from pathlib import Path

from sparsecc.errors import LibraryError
from sparsecc.runtime import elf
from sparsecc.runtime.agree import check_agreement
from sparsecc.runtime.checks import check_machine, description_of, open_library, prefix_of, read_error
from sparsecc.runtime.digest import Digest
from sparsecc.runtime.files import new_file

_loaded: weakref.WeakValueDictionary[tuple[int, bytes], Image] = weakref.WeakValueDictionary()
_lock = threading.Lock()
#: bytes that are copied at once: whole rows of a digest
_PIECE = 1 << 20


def _new_lock() -> None:
    """In a forked child, the lock may be held by a thread that does not exist there."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)


class Image:
    """One loaded library. Its memory is given back when the last reference is gone.

    Attributes
    ----------
    description : dict
        What the library says about itself.
    functions : ctypes.CDLL
        The loaded code; functions are named with the prefix ``name``.
    name : str
        Prefix of the library's functions.
    """

    def __init__(self, path: Path, file: int, whole: Digest) -> None:
        self._file = file
        with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
            parsed = elf.parse(view, name=str(path))
            self.description = description_of(parsed, whole, name=str(path))
            check_machine(parsed, name=str(path))
            self.name = prefix_of(parsed, self.description, name=str(path))
        self.functions = load_code(file, path)
        try:
            check_agreement(self.functions, self.description, name=str(path))
        except BaseException:
            _ctypes.dlclose(self.functions._handle)
            raise
        weakref.finalize(self, _unload, self.functions._handle, file).atexit = False

    def keeps(self, file: int) -> bool:
        """Whether this is the image's own copy."""
        return self._file == file

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the library to a file."""
        size = os.fstat(self._file).st_size
        with new_file(path, executable=True) as out:
            for start in range(0, size, 1 << 22):
                out.write(os.pread(self._file, 1 << 22, start))

    def content(self) -> bytes:
        """The library's bytes."""
        with mmap.mmap(self._file, 0, access=mmap.ACCESS_READ) as data:
            return data[:]


def open_image(path: str | os.PathLike[str]) -> Image:
    """Load a library, or find it if one of the very same bytes is loaded already.

    Raises
    ------
    LibraryError
        No such file, not a library that can run in this process, or a damaged one.
    """
    path = Path(path)
    try:
        return _opened(path)
    except OSError as error:  # no more open files, no memory for the copy
        raise read_error(path, error) from error


def _opened(path: Path) -> Image:
    file, whole = _private_copy(path)
    image = None
    try:
        key = os.fstat(file).st_size, whole.value()
        with _lock:
            image = _loaded.get(key)
            if image is None:
                image = _loaded[key] = Image(path, file, whole)
            return image
    finally:
        if image is None or not image.keeps(file):
            os.close(file)


def _private_copy(path: Path) -> tuple[int, Digest]:
    """Copy the file into anonymous memory; gives its file descriptor, and the digest of what was copied."""
    whole = Digest()
    with open_library(path) as source:
        start = source.read(_PIECE)
        if not start:
            raise LibraryError(f"{path}: the file is empty; copy or compile it again")
        elf.check_magic(start, name=str(path))  # before gigabytes are copied
        copy = os.memfd_create(path.name[:200])
        try:
            with open(copy, "wb", closefd=False) as out:
                for piece in itertools.chain([start], iter(lambda: source.read(_PIECE), b"")):
                    whole.add(piece)
                    out.write(piece)
        except BaseException:
            os.close(copy)
            raise
    return copy, whole


def load_code(file: int, path: Path) -> ctypes.CDLL:
    """The code of a library that was checked: from here on it may run."""
    try:
        return ctypes.CDLL(f"/proc/self/fd/{file}", mode=os.RTLD_NOW | os.RTLD_LOCAL)
    except OSError as first:
        try:  # some systems forbid code in anonymous memory
            return ctypes.CDLL(str(path.resolve()), mode=os.RTLD_NOW | os.RTLD_LOCAL)
        except OSError:
            raise LibraryError(f"{path}: the system can't load it: {first}") from first


def _unload(handle: int, file: int) -> None:
    _ctypes.dlclose(handle)  # before the file's number can be given to another library
    os.close(file)
