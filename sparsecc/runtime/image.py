"""A library file in memory: checked, private to this process, loaded.

The file is copied (once per process) into anonymous memory and loaded from there. So whatever happens to the file
afterwards, code that runs stays as it was; and a new file of the same name is a new library, which ``dlopen`` alone
would take for the old one.
"""

from __future__ import annotations

import _ctypes
import ctypes
import json
import mmap
import os
import shutil
import threading
import weakref
from pathlib import Path
from typing import Any

from sparsecc.errors import LibraryError
from sparsecc.runtime import elf
from sparsecc.runtime.files import new_file
from sparsecc.runtime.format import DESCRIPTION_SECTION, FORMAT, FUNCTIONS

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
                self.description = _description(parsed, name=str(path))
                _check_machine(parsed, name=str(path))
                self.name = _prefix(parsed, self.description, name=str(path))
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


def open_image(path: str | os.PathLike[str]) -> Image:
    """Load a library, or find it if the very same file is loaded already.

    Raises
    ------
    LibraryError
        No such file, or not a library that can run in this process.
    """
    path = Path(path)
    status = _status(path)
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    with _lock:
        image = _loaded.get(key)
        if image is None:
            image = _loaded[key] = Image(path)
        return image


def read_description(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a library says about itself, read without loading it: works for libraries of other machines too.

    Raises
    ------
    LibraryError
        No such file, or not a library of ours.
    """
    path = Path(path)
    _status(path)
    return _description(elf.parse(path.read_bytes(), name=str(path)), name=str(path))


def _status(path: Path) -> os.stat_result:
    try:
        status = path.stat()
        with path.open("rb"):
            return status
    except OSError as error:
        raise LibraryError(f"{path}: can't be read: {error.strerror}; expected a library made by sparsecc") from error


def _private_copy(path: Path) -> int:
    """Copy the file into anonymous memory; gives its file descriptor."""
    with path.open("rb") as source:
        if not os.fstat(source.fileno()).st_size:
            raise LibraryError(f"{path}: the file is empty; copy or compile it again")
        copy = os.memfd_create(path.name[:200])
        with open(copy, "wb", closefd=False) as out:
            shutil.copyfileobj(source, out, 1 << 22)
    return copy


def _description(parsed: elf.Elf, *, name: str) -> dict[str, Any]:
    section = parsed.section(DESCRIPTION_SECTION)
    if parsed.kind != elf.SHARED or section is None:
        raise LibraryError(f"{name}: an ELF file that sparsecc did not make; expected a library made by sparsecc")
    try:
        description: dict[str, Any] = json.loads(parsed.content(section).partition(b"\0")[0])
        found = description["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise LibraryError(f"{name}: its description is damaged; copy or compile the file again") from error
    if found != FORMAT:
        age = "an older" if isinstance(found, int) and found < FORMAT else "a newer"
        what = f"library format {found}, made by {age} sparsecc; this one reads format {FORMAT}"
        raise LibraryError(f"{name}: {what}; compile the network again or use the matching version of sparsecc")
    return description


def _check_machine(parsed: elf.Elf, *, name: str) -> None:
    host = elf.host_machine()
    if (parsed.bits, parsed.machine) != host:
        found, expected = elf.machine_name(parsed.bits, parsed.machine), elf.machine_name(*host)
        raise LibraryError(f"{name}: compiled for {found}, but this process is {expected}; compile it for this machine")


def _prefix(parsed: elf.Elf, description: dict[str, Any], *, name: str) -> str:
    prefix = str(description.get("name", ""))
    exported = {s.name for s in parsed.symbols(elf.DYNSYM) if s.is_global and s.section}
    missing = [f"{prefix}_{f}" for f in FUNCTIONS if f"{prefix}_{f}" not in exported]
    if missing:
        raise LibraryError(f"{name}: damaged: it does not export {missing[0]}; copy or compile the file again")
    return prefix


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
