"""A library file in memory: checked, private to this process, loaded.

The file is copied (once per process) into anonymous memory and loaded from there. So whatever happens to the file
afterwards, code that runs stays as it was; and a new file of the same name is a new library, which ``dlopen`` alone
would take for the old one.
"""

from __future__ import annotations

import _ctypes
import ctypes
import mmap
import os
import shutil
import threading
import weakref
from pathlib import Path

from sparsecc.errors import LibraryError
from sparsecc.runtime import elf
from sparsecc.runtime.checks import check_machine, description_of, file_status, prefix_of, read_error
from sparsecc.runtime.files import new_file

_loaded: weakref.WeakValueDictionary[tuple[int, ...], Image] = weakref.WeakValueDictionary()
_lock = threading.Lock()


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

    def __init__(self, path: Path) -> None:
        self._file = _private_copy(path)
        try:
            with mmap.mmap(self._file, 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
                parsed = elf.parse(view, name=str(path))
                self.description = description_of(parsed, name=str(path))
                check_machine(parsed, name=str(path))
                self.name = prefix_of(parsed, self.description, name=str(path))
            self.functions = _dlopen(self._file, path)
        except BaseException:
            os.close(self._file)
            raise
        weakref.finalize(self, _unload, self.functions._handle, self._file).atexit = False

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
    """Load a library, or find it if the very same file is loaded already.

    Raises
    ------
    LibraryError
        No such file, or not a library that can run in this process.
    """
    path = Path(path)
    status = file_status(path)
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    with _lock:
        image = _loaded.get(key)
        if image is None:
            try:
                image = _loaded[key] = Image(path)
            except OSError as error:  # no more open files, no memory for the copy
                raise read_error(path, error) from error
        return image


def _private_copy(path: Path) -> int:
    """Copy the file into anonymous memory; gives its file descriptor."""
    with path.open("rb") as source:
        if not os.fstat(source.fileno()).st_size:
            raise LibraryError(f"{path}: the file is empty; copy or compile it again")
        copy = os.memfd_create(path.name[:200])
        try:
            with open(copy, "wb", closefd=False) as out:
                shutil.copyfileobj(source, out, 1 << 22)
        except BaseException:
            os.close(copy)
            raise
    return copy


def _dlopen(file: int, path: Path) -> ctypes.CDLL:
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
