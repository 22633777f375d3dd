"""The instructions that sum products of 8-bit integers exactly, and what they want side by side.

One of them adds, in each 32-bit lane, the products of ``group`` bytes of a pixel's channels with as many weights::

    vpdpbusd   4 unsigned bytes with 4 signed ones         AVX-512 VNNI, AVX-VNNI
    vpmaddwd   2 integers of 16 bits with 2 such ones      AVX2, AVX-512; then an addition
    sdot       4 signed bytes with 4 signed ones           ARM's dot product
    smlal      1 integer of 16 bits with another           every ARM core

None saturates: ``vpmaddubsw``, which AVX2 has for bytes, does, and is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sparsecc._tvm import T, tirx

Name = Literal["vpdpbusd", "vpmaddwd", "sdot", "smlal"]
#: products that an instruction adds up in each lane
_GROUPS: dict[Name, int] = {"vpdpbusd": 4, "vpmaddwd": 2, "sdot": 4, "smlal": 1}

#: lanes -> LLVM's name of ``vpmaddwd``
_MADD = {4: "llvm.x86.sse2.pmadd.wd", 8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}


@dataclass(frozen=True)
class Instructions:
    """What a kernel sums with.

    Attributes
    ----------
    name : str
    lanes : int
        Sums of 32 bits in a vector.
    """

    name: Name
    lanes: int

    @property
    def group(self) -> int:
        """Channels of a pixel that lie side by side."""
        return _GROUPS[self.name]

    @property
    def dtype(self) -> str:
        """Of such a group: one element of a scratch plane, or of packed weights."""
        return "int16" if self.group == 1 else "int32"

    @property
    def signed(self) -> bool:
        """Whether pixels are signed bytes; else unsigned ones."""
        return self.name == "sdot"

    @property
    def by_lane(self) -> bool:
        """Whether an instruction multiplies with one lane of a register: pixels are loaded as vectors, then."""
        return self.name in ("sdot", "smlal")

    def shift(self, *, signed: bool) -> int:
        """What is added to codes of a tensor to have bytes as the instruction wants them."""
        return (signed != self.signed) * (-128 if self.signed else 128)

    def dot(self, total: Any, weights: Any, pixels: Any) -> Any:
        """``total`` plus products; all are vectors of :attr:`lanes`, the latter two of :attr:`dtype`."""
        if self.name == "vpdpbusd":
            bytes_ = f"uint8x{4 * self.lanes}"
            found = f"llvm.x86.avx512.vpdpbusd.{32 * self.lanes}"
            return _call(self.lanes, found, total, T.reinterpret(bytes_, pixels), T.reinterpret(bytes_, weights))
        if self.name == "vpmaddwd":
            halves = f"int16x{2 * self.lanes}"
            found = _MADD[self.lanes]
            return total + _call(self.lanes, found, T.reinterpret(halves, pixels), T.reinterpret(halves, weights))
        if self.name == "sdot":
            bytes_ = f"int8x{4 * self.lanes}"
            found = "llvm.aarch64.neon.sdot.v4i32.v16i8"
            return _call(self.lanes, found, total, T.reinterpret(bytes_, weights), T.reinterpret(bytes_, pixels))
        wide = f"int32x{self.lanes}"
        return total + tirx.Cast(wide, weights) * tirx.Cast(wide, pixels)


def _call(lanes: int, name: str, *arguments: Any) -> Any:
    return tirx.call_llvm_pure_intrin(f"int32x{lanes}", name, *arguments)


def ramp(first: Any, count: int, *, step: int = 1) -> Any:
    """Indices of ``count`` elements."""
    return tirx.Ramp(first, step, count) if count > 1 else first


def shuffled(vectors: Sequence[Any], order: Sequence[int]) -> Any:
    """Elements of vectors, counted through them, in another order."""
    # TVM wants no fewer elements than it gives
    lanes = sum(int(str(vector.ty.dtype).partition("x")[2]) for vector in vectors)
    repeated = list(vectors) * -(-len(order) // lanes)
    return tirx.Shuffle(repeated, [tirx.const(index, "int32") for index in order])


def kept(value: Any) -> Any:
    """The value, computed here and once: an expression would be computed wherever it is used."""
    dtype = str(value.ty.dtype)
    element, _, lanes = dtype.partition("x")
    whole = ramp(0, int(lanes or 1))
    slot = T.alloc_buffer((int(lanes or 1),), element, scope="global")
    T.buffer_store(slot, value, [whole])
    return slot[whole]
