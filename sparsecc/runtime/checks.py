"""Is a file a library of ours that can run here? Answered from its bytes, before any of its code is loaded."""

from __future__ import annotations

import errno
import os
from io import BufferedReader
from pathlib import Path
from typing import Any

from sparsecc.errors import LibraryError
from sparsecc.runtime import elf
from sparsecc.runtime.description import read_text
from sparsecc.runtime.digest import Digest
from sparsecc.runtime.format import DESCRIPTION_SECTION, FUNCTIONS, SHAPE_FUNCTIONS
from sparsecc.runtime.seal import check_seal
from sparsecc.untrusted import open_file

#: code reaches its weights by offsets of 32 bits: there is no larger library
_MOST_BYTES = 1 << 32

_ADVICE = {
    errno.EMFILE: "each loaded library has one file open: close some, or allow more open files (ulimit -n)",
    errno.ENFILE: "the system has no more open files: end what has many of them",
    errno.ENOMEM: "close some libraries or end other programs",
    errno.ENOSPC: "close some libraries or end other programs",
}


def read_description(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a library says about itself, read without loading it: works for libraries of other machines too.

    Raises
    ------
    LibraryError
        No such file, not a library of ours, or a damaged one.
    """
    data, whole = _read(Path(path))
    return description_of(elf.parse(data, name=str(path)), whole, name=str(path))


def description_text(path: str | os.PathLike[str]) -> str:
    """The same as it stands in the file; of a library that :func:`read_description` reads."""
    parsed = elf.parse(_read(Path(path))[0], name=str(path))
    section = parsed.section(DESCRIPTION_SECTION)
    return "" if section is None else bytes(parsed.content(section)).partition(b"\0")[0].decode()


def open_library(path: Path) -> BufferedReader:
    """Open a file that may be a library; LibraryError if it can't be read, or can't be one for its kind or size."""
    try:
        return open_file(path, most_bytes=_MOST_BYTES)
    except OSError as error:
        raise read_error(path, error) from error


def read_error(path: Path, error: OSError) -> LibraryError:
    """The error to raise when reading or copying a library failed with ``error``."""
    advice = _ADVICE.get(error.errno or 0, "expected a library made by sparsecc")
    return LibraryError(f"{path}: can't be read: {error.strerror}; {advice}")


def description_of(parsed: elf.Elf, whole: Digest, *, name: str) -> dict[str, Any]:
    """The description of an undamaged library of our format.

    Parameters
    ----------
    parsed : Elf
        The file's tables.
    whole : Digest
        Of all its bytes.
    name : str
        What to call the file.

    Raises
    ------
    LibraryError
        It is damaged, of another format, or no library of ours.
    """
    seal = check_seal(parsed, whole, name=name)
    section = parsed.section(DESCRIPTION_SECTION)
    if parsed.kind != elf.SHARED or section is None:
        raise LibraryError(f"{name}: an ELF file that sparsecc did not make; expected a library made by sparsecc")
    description = read_text(parsed.content(section), name=name)
    if seal is None:
        raise LibraryError(f"{name}: damaged: its digest is missing; copy or compile the file again")
    return description


def check_machine(parsed: elf.Elf, *, name: str) -> None:
    """Raise LibraryError if the code is not for this process's architecture."""
    host = elf.host_machine()
    if (parsed.bits, parsed.machine) != host:
        found, expected = elf.machine_name(parsed.bits, parsed.machine), elf.machine_name(*host)
        raise LibraryError(f"{name}: compiled for {found}, but this process is {expected}; compile it for this machine")


def prefix_of(parsed: elf.Elf, description: dict[str, Any], *, name: str) -> str:
    """The prefix of the library's functions; LibraryError unless all of them are exported."""
    prefix = str(description["name"])
    exported = {s.name for s in parsed.symbols(elf.DYNSYM) if s.is_global and s.section}
    functions = (*FUNCTIONS, *(SHAPE_FUNCTIONS if "shapes" in description else ()))
    missing = [f"{prefix}_{f}" for f in functions if f"{prefix}_{f}" not in exported]
    if missing:
        raise LibraryError(f"{name}: damaged: it does not export {missing[0]}; copy or compile the file again")
    return prefix


def _read(path: Path) -> tuple[bytes, Digest]:
    with open_library(path) as file:
        elf.check_magic(file.peek(64)[:64], name=str(path))  # before gigabytes are read
        data = file.read()
    whole = Digest()
    whole.add(data)
    return data, whole
