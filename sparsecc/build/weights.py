"""All constant arrays as one read-only section of the library."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sparsecc.build.memory import align
from sparsecc.ir.on_disk import pieces
from sparsecc.runtime.digest import ROW_BYTES, Digest


class _Digested:
    """A file that keeps the digest of what is written to it, and nothing else."""

    def __init__(self) -> None:
        self._digest = Digest()
        self._rest = bytearray()
        self._taken = 0

    def tell(self) -> int:
        return self._taken + len(self._rest)

    def write(self, data: bytes | memoryview) -> int:
        view = memoryview(data)
        if self._rest:
            room = -len(self._rest) % ROW_BYTES
            self._rest += view[:room]
            view = view[room:]
            if len(self._rest) % ROW_BYTES == 0:
                self._take(bytes(self._rest))
                self._rest.clear()
        whole = len(view) - len(view) % ROW_BYTES
        self._take(view[:whole])
        self._rest += view[whole:]
        return len(data)

    def value(self) -> bytes:
        self._digest.add(bytes(self._rest))
        return self._digest.value()

    def _take(self, rows: bytes | memoryview) -> None:
        self._digest.add(rows)
        self._taken += len(rows)


@dataclass(frozen=True)
class WeightPlan:
    """Where constant arrays lie; of equal ones the first is stored.

    Attributes
    ----------
    offsets : tuple of int
        Of every array in the section, in bytes.
    stored : tuple of int
        Which arrays to write, in order.
    nbytes : int
        Size of the section.
    """

    offsets: tuple[int, ...]
    stored: tuple[int, ...]
    nbytes: int


@dataclass(frozen=True)
class WeightBlob:
    """The section: a plan, and the arrays that it is of."""

    plan: WeightPlan
    arrays: Sequence[NDArray[Any]]

    @property
    def offsets(self) -> tuple[int, ...]:
        """Of every array, in bytes."""
        return self.plan.offsets

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.plan.nbytes

    def digest(self) -> bytes:
        """Digest of the bytes that :meth:`write` writes."""
        file = _Digested()
        self.write(cast(BinaryIO, file))
        return file.value()

    def write(self, file: BinaryIO) -> None:
        """Write the blob: arrays at their offsets, zeros between them."""
        for index in self.plan.stored:
            file.write(bytes(self.offsets[index] - file.tell()))
            for piece in pieces(np.ascontiguousarray(self.arrays[index])):
                file.write(piece)
        file.write(bytes(self.nbytes - file.tell()))


def plan_weights(weights: Sequence[NDArray[Any]]) -> WeightPlan:
    """Lay the arrays out one after another, aligned; arrays of the same bytes and type are stored once."""
    offsets: list[int] = []
    stored: list[int] = []
    known: dict[tuple[str, int, bytes], int] = {}
    end = 0
    for index, array in enumerate(weights):
        key = identity(array)
        if key not in known:
            known[key] = end
            stored.append(index)
            end = align(end + array.nbytes)
        offsets.append(known[key])
    return WeightPlan(tuple(offsets), tuple(stored), end)


def identity(array: NDArray[Any]) -> tuple[str, int, bytes]:
    """Equal for arrays of the same bytes and type."""
    array = np.ascontiguousarray(array)
    return array.dtype.str, array.nbytes, _hash(array)


def weights_assembly(symbol: str, *, file: str) -> str:
    """Assembly that puts ``file`` into the library as hidden read-only data named ``symbol``, on any architecture."""
    return f"""\
    .section .rodata.{symbol},"a",%progbits
    .balign 64
    .hidden {symbol}
    .globl {symbol}
    .type {symbol},%object
{symbol}:
    .incbin "{file}"
    .size {symbol}, .-{symbol}
    .section .note.GNU-stack,"",%progbits
"""


def _hash(array: NDArray[Any]) -> bytes:
    """Of a C-contiguous array's memory, whatever its element type."""
    found = hashlib.sha256()
    for piece in pieces(array):
        found.update(piece)
    return found.digest()
