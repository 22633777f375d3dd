"""Renames symbols of an object file, so that two networks can be linked into one program.

TVM calls its runtime through weak variables (``__TVMBackendParallelLaunch``) that have the same name in every object.
A new name is appended as a string table at the end of the file: nothing else moves.
"""

from __future__ import annotations

import struct

from sparsecc.errors import InternalError, LibraryError
from sparsecc.runtime import elf

_HIDDEN = 2
# where a symbol record holds its visibility, and a section header its offset and size
_OTHER = {32: 13, 64: 5}
_PLACE = {32: (16, "<II"), 64: (24, "<QQ")}


def own_symbol(symbol: str, *, prefix: str) -> str:
    """The symbol with the program's prefix, unless it has it already."""
    return symbol if symbol.startswith(f"{prefix}_") else f"{prefix}_{symbol}"


def isolate(kernels: bytes, *, prefix: str) -> bytes:
    """Give every symbol that the object defines for others the program's prefix, and hide it.

    Parameters
    ----------
    kernels : bytes
        A relocatable ELF object.
    prefix : str
        The program's name.

    Returns
    -------
    bytes
        The object with ``<prefix>_`` before each global symbol it defines; hidden ones can't leave a shared library.
    """
    try:
        parsed = elf.parse(kernels, name="kernels.o")
    except LibraryError as error:
        raise InternalError(f"code generation gave no object file: {error}") from error
    if parsed.kind != elf.RELOCATABLE:
        raise InternalError("kernels.o: expected a relocatable object, found another kind of ELF file")
    table = next((s for s in parsed.sections if s.kind == elf.SYMTAB), None)
    if table is None:
        raise InternalError("kernels.o: expected an object with symbols, found none")
    strings = parsed.sections[table.link]
    names = bytearray(parsed.content(strings))
    result = bytearray(kernels)
    for symbol in parsed.symbols(elf.SYMTAB):
        if not symbol.is_global or not symbol.section:
            continue
        struct.pack_into("<I", result, symbol.entry, len(names))
        result[symbol.entry + _OTHER[parsed.bits]] |= _HIDDEN
        names += own_symbol(symbol.name, prefix=prefix).encode() + b"\0"
    offset, layout = _PLACE[parsed.bits]
    struct.pack_into(layout, result, strings.header + offset, len(result), len(names))
    return bytes(result + names)
