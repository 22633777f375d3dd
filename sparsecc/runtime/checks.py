"""Is a file a library of ours that can run here? Answered from its bytes, before any of its code is loaded."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from sparsecc.errors import LibraryError
from sparsecc.runtime import elf
from sparsecc.runtime.format import DESCRIPTION_SECTION, FORMAT, FUNCTIONS
from sparsecc.runtime.structure import parse_structure

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
        No such file, or not a library of ours.
    """
    path = Path(path)
    file_status(path)
    return description_of(elf.parse(path.read_bytes(), name=str(path)), name=str(path))


def description_text(path: str | os.PathLike[str]) -> str:
    """The same as it stands in the file; of a library that :func:`read_description` reads."""
    parsed = elf.parse(Path(path).read_bytes(), name=str(path))
    section = parsed.section(DESCRIPTION_SECTION)
    return "" if section is None else bytes(parsed.content(section)).partition(b"\0")[0].decode()


def file_status(path: Path) -> os.stat_result:
    """Identity and size of a file that can be read; LibraryError if it can't."""
    try:
        status = path.stat()
        with path.open("rb"):
            return status
    except OSError as error:
        raise read_error(path, error) from error


def read_error(path: Path, error: OSError) -> LibraryError:
    """The error to raise when reading or copying a library failed with ``error``."""
    advice = _ADVICE.get(error.errno or 0, "expected a library made by sparsecc")
    return LibraryError(f"{path}: can't be read: {error.strerror}; {advice}")


def description_of(parsed: elf.Elf, *, name: str) -> dict[str, Any]:
    """The description in a library of our format; LibraryError if there is none, or it is of another format."""
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
    try:
        parse_structure(description["structure"], outputs=len(description["outputs"]))
    except (ValueError, KeyError, TypeError) as error:
        raise LibraryError(f"{name}: its description is damaged; copy or compile the file again") from error
    return description


def check_machine(parsed: elf.Elf, *, name: str) -> None:
    """Raise LibraryError if the code is not for this process's architecture."""
    host = elf.host_machine()
    if (parsed.bits, parsed.machine) != host:
        found, expected = elf.machine_name(parsed.bits, parsed.machine), elf.machine_name(*host)
        raise LibraryError(f"{name}: compiled for {found}, but this process is {expected}; compile it for this machine")


def prefix_of(parsed: elf.Elf, description: dict[str, Any], *, name: str) -> str:
    """The prefix of the library's functions; LibraryError unless all of them are exported."""
    prefix = str(description.get("name", ""))
    exported = {s.name for s in parsed.symbols(elf.DYNSYM) if s.is_global and s.section}
    missing = [f"{prefix}_{f}" for f in FUNCTIONS if f"{prefix}_{f}" not in exported]
    if missing:
        raise LibraryError(f"{name}: damaged: it does not export {missing[0]}; copy or compile the file again")
    return prefix
