"""The seal of a library file: its size and digest, written after linking, compared before anything is believed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from sparsecc.errors import LibraryError
from sparsecc.runtime import elf
from sparsecc.runtime.digest import DIGEST_BYTES, Digest
from sparsecc.runtime.format import SEAL_BYTES, SEAL_MARK, SEAL_SECTION

_MARK = SEAL_MARK.encode() + b"\0"
_SIZE = struct.Struct("<Q")
#: bytes that are read at once: whole rows of a digest
_PIECE = 1 << 22
#: what the digest does not cover, as bytes of the seal
_OPEN = slice(len(_MARK), len(_MARK) + _SIZE.size + DIGEST_BYTES)


@dataclass(frozen=True)
class Seal:
    """Where a file has its seal, and the ``SEAL_BYTES`` that are there."""

    offset: int
    value: bytes

    @property
    def open(self) -> bytes:
        """Size and digest."""
        return self.value[_OPEN]

    @property
    def size(self) -> int:
        """Bytes of the file when it was sealed."""
        return int(_SIZE.unpack_from(self.open)[0])

    @property
    def digest(self) -> bytes:
        """Digest of the file when it was sealed."""
        return self.open[_SIZE.size :]


def find_seal(parsed: elf.Elf) -> Seal | None:
    """The seal of a library; None if there is none, as in libraries of older formats."""
    section = parsed.section(SEAL_SECTION)
    if section is None or section.size != SEAL_BYTES or section.offset % 8:
        return None
    value = parsed.content(section)
    return Seal(section.offset, value) if value.startswith(_MARK) else None


def check_seal(parsed: elf.Elf, whole: Digest, *, name: str) -> Seal | None:
    """Raise LibraryError if a file with a seal is not as it was; None for one without.

    Parameters
    ----------
    parsed : Elf
        The file's tables.
    whole : Digest
        Of all its bytes.
    name : str
        What to call the file.
    """
    seal = find_seal(parsed)
    if seal is None:
        return None
    size = len(parsed.data)
    found = whole.value(without=seal.open, at=seal.offset + _OPEN.start)
    if (size, found) == (seal.size, seal.digest):
        return seal
    if size != seal.size:
        what = f"it has {size} bytes, expected {seal.size}"
    else:
        what = f"its digest is {found.hex()}, expected {seal.digest.hex()}"
    raise LibraryError(
        f"{name}: damaged: {what}; copy or compile the file again (no tool may change it, strip included)"
    )


def sealed(data: memoryview | bytearray, *, at: int, read: Callable[[], object] = lambda: None) -> None:
    """Write size and digest of a library into it, at its seal; ``read`` is called after each piece that was read."""
    place = slice(at + _OPEN.start, at + _OPEN.stop)
    data[place] = bytes(_OPEN.stop - _OPEN.start)
    whole = Digest()
    with memoryview(data) as view:
        for start in range(0, len(view), _PIECE):
            whole.add(view[start : start + _PIECE])
            read()
    data[place] = _SIZE.pack(len(data)) + whole.value()
