"""A digest against accidental damage: as fast as memory is read, with NumPy alone.

The bytes are rows of a table of 64-bit words, 512 to a row: a row is a page of memory, and of the file. The sum of
every row and the sum of every column, mixed with their numbers, make two words of 64 bits:

    words   w00 w01 ... | r0      a flipped bit changes the sum of its row
            w10 w11 ... | r1      pages that change places change which row has which sum
            ...                   words of a row that change places change the sums of columns
            c0  c1  ...

It is no protection against somebody who wants to deceive: who can write the file can write a digest that fits.
``csrc/scc_check.c`` computes the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: bytes of a row
ROW_BYTES = 4096
#: bytes of a digest
DIGEST_BYTES = 16
#: bytes taken at once: they stay in the second cache between both sums
_PIECE = 1 << 18
_ROWS, _COLUMNS = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

Words = NDArray[np.uint64]


class Digest:
    """Of bytes that come in pieces; all but the last are whole rows."""

    def __init__(self) -> None:
        self._bytes = 0
        self._rows: list[Words] = []
        self._columns = np.zeros(ROW_BYTES // 8, np.uint64)

    def add(self, data: bytes | memoryview) -> None:
        """Take the next piece."""
        if self._bytes % ROW_BYTES:
            raise ValueError("only the last piece may end within a row")
        self._bytes += len(data)
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            if len(piece) % ROW_BYTES:
                piece = bytes(piece) + bytes(-len(piece) % ROW_BYTES)
            table = np.frombuffer(piece, "<u8").reshape(-1, ROW_BYTES // 8)
            self._rows.append(table.sum(axis=1, dtype=np.uint64))
            self._columns += table.sum(axis=0, dtype=np.uint64)

    def value(self, *, without: bytes = b"", at: int = 0) -> bytes:
        """The digest, with zeros where the bytes ``without`` were, from ``at`` on (a multiple of 8)."""
        rows = np.concatenate([*self._rows, np.zeros(0, np.uint64)])
        columns = self._columns.copy()
        gone = np.frombuffer(without, "<u8")
        places = np.arange(gone.size) + at // 8
        np.subtract.at(rows, places // columns.size, gone)
        np.subtract.at(columns, places % columns.size, gone)
        words = [*_mixed(rows, _ROWS) + np.uint64(self._bytes), *_mixed(columns, _COLUMNS)]
        return np.array(words, "<u8").tobytes()


def digest(data: bytes | memoryview) -> bytes:
    """Sixteen bytes that tell whether ``data`` is what it was."""
    whole = Digest()
    whole.add(data)
    return whole.value()


def _mixed(sums: Words, step: int) -> Words:
    """One word of many: each is mixed with its number by a bijection (SplitMix64), so that no change of one is lost."""
    numbers = np.arange(1, sums.size + 1, dtype=np.uint64)
    mixed = sums ^ (numbers * np.uint64(step))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    total: Words = (mixed ^ (mixed >> np.uint64(31))).sum(dtype=np.uint64, keepdims=True)
    return total
