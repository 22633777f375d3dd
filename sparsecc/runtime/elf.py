"""A small reader of ELF files, 32 and 64 bit, little-endian: enough to look before ``dlopen`` leaps."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sparsecc.errors import LibraryError

RELOCATABLE, SHARED = 1, 3
SYMTAB, STRTAB, NOBITS, DYNSYM = 2, 3, 8, 11
MACHINES = {3: "x86", 40: "armv7", 62: "x86-64", 183: "aarch64", 243: "riscv"}

# struct formats by word size: file header from byte 16 on, section header, symbol
_HEADER = {32: "<HHIIIIIHHHHHH", 64: "<HHIQQQIHHHHHH"}
_SECTION = {32: "<10I", 64: "<IIQQQQIIQQ"}
_SYMBOL = {32: "<IIIBBH", 64: "<IBBHQQ"}


@dataclass(frozen=True)
class Section:
    """One entry of the section table; ``offset`` and ``size`` in bytes of the file, ``header`` where the entry is."""

    name: str
    kind: int
    offset: int
    size: int
    link: int
    header: int


@dataclass(frozen=True)
class Symbol:
    """One symbol; ``entry`` is where its record starts in the file, ``section`` 0 if it is defined elsewhere."""

    name: str
    binding: int
    visibility: int
    section: int
    entry: int

    @property
    def is_global(self) -> bool:
        """Visible to other objects: global or weak."""
        return self.binding in (1, 2)


@dataclass(frozen=True)
class Elf:
    """A parsed file: word size in bits, kind (``RELOCATABLE``, ``SHARED``), machine, sections."""

    data: bytes | memoryview
    bits: int
    kind: int
    machine: int
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section | None:
        """The first section of that name."""
        return next((s for s in self.sections if s.name == name), None)

    def content(self, section: Section) -> bytes:
        """The section's bytes."""
        return bytes(self.data[section.offset : section.offset + section.size])

    def symbols(self, kind: int) -> Iterator[Symbol]:
        """All symbols of the tables of ``kind``: ``SYMTAB`` or ``DYNSYM``."""
        layout = struct.Struct(_SYMBOL[self.bits])
        for table in (s for s in self.sections if s.kind == kind):
            names = self.content(self.sections[table.link])
            for entry in range(table.offset, table.offset + table.size - layout.size + 1, layout.size):
                fields = layout.unpack_from(self.data, entry)
                info, other, section = fields[1:4] if self.bits == 64 else fields[3:6]
                yield Symbol(_text(names, fields[0]), info >> 4, other & 3, section, entry)


def parse(data: bytes | memoryview, *, name: str) -> Elf:
    """Read the tables of an ELF file.

    Parameters
    ----------
    data : bytes or memoryview
        The whole file.
    name : str
        What to call the file in error messages.

    Raises
    ------
    LibraryError
        The file is not ELF, is of a byte order or word size we don't have, or is cut off.
    """
    check_magic(bytes(data[:64]), name=name)
    if len(data) < 64 or data[4] not in (1, 2) or data[5] != 1:
        raise LibraryError(f"{name}: an ELF file with a damaged or foreign header; copy or compile the file again")
    bits = 64 if data[4] == 2 else 32
    header = struct.unpack_from(_HEADER[bits], data, 16)
    sections = _sections(data, bits, header)
    if sections is None:
        found = f"its {len(data)} bytes are not what its tables describe"
        raise LibraryError(f"{name}: cut off or damaged: {found}; copy or compile the file again")
    return Elf(data, bits, header[0], header[1], sections)


def check_magic(start: bytes, *, name: str) -> None:
    """Raise LibraryError, with a guess at what it is, unless a file that starts so is ELF."""
    if not start.startswith(b"\x7fELF"):
        raise LibraryError(f"{name}: {_looks_like(start)}; expected a shared library made by sparsecc (ELF)")


def _sections(data: bytes | memoryview, bits: int, header: tuple[int, ...]) -> tuple[Section, ...] | None:
    """The section table; None if it, or a section, is not inside the file."""
    layout = struct.Struct(_SECTION[bits])
    table, (entry_size, count, names_index) = header[5], header[10:]
    if entry_size != layout.size or table + count * layout.size > len(data) or names_index >= count:
        return None
    places = [table + i * layout.size for i in range(count)]
    raw = [layout.unpack_from(data, place) for place in places]
    if any(f[1] != NOBITS and f[4] + f[5] > len(data) for f in raw):
        return None
    if any(f[1] in (SYMTAB, DYNSYM) and f[6] >= count for f in raw):
        return None
    names_at, names_size = raw[names_index][4:6]
    names = bytes(data[names_at : names_at + names_size])
    pairs = zip(raw, places, strict=True)
    return tuple(Section(_text(names, f[0]), f[1], f[4], f[5], f[6], place) for f, place in pairs)


def machine_name(bits: int, machine: int) -> str:
    """A readable name of an architecture: ``x86-64``."""
    return MACHINES.get(machine, f"ELF machine {machine} ({bits} bit)")


def host_machine() -> tuple[int, int]:
    """Word size and ELF machine of this process (not of the kernel, which may run 32-bit programs as well)."""
    with open("/proc/self/exe", "rb") as file:
        header = file.read(20)
    return (64 if header[4] == 2 else 32), int(struct.unpack_from("<H", header, 18)[0])


def _text(names: bytes, start: int) -> str:
    return names[start : names.find(b"\0", start)].decode("utf-8", "replace")


def _looks_like(start: bytes) -> str:
    if not start:
        return "the file is empty"
    if start.startswith(b"!<arch>\n"):
        return "this is a static archive: link it into a program instead of loading it"
    if start.startswith(b"PK\x03\x04"):
        return "this is a zip archive, perhaps a .pt2 model that is still to be compiled"
    return f"not an ELF file (it starts with {start[:8]!r})"
