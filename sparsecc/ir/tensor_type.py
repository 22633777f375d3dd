"""What the elements of a tensor are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TensorType:
    """A tensor's elements, and what lies between its rows.

    Attributes
    ----------
    dtype : str
        As NumPy has it.
    fill : int
        The byte, 0 to 255, of which gaps and padding are made: of codes, the one that stands for 0.0.
    """

    dtype: str = "float32"
    fill: int = 0

    @property
    def value(self) -> float:
        """The element that gaps and padding are."""
        return float(np.frombuffer(bytes([self.fill]) * self.nbytes, self.dtype)[0])

    @property
    def nbytes(self) -> int:
        """Bytes of an element."""
        return np.dtype(self.dtype).itemsize


FLOAT32 = TensorType()
#: half precision, as NumPy and TVM call it
HALF = "float16"
FLOAT16 = TensorType(HALF)


def all_of(dtype: str, count: int) -> tuple[TensorType, ...]:
    """Types of so many tensors of one floating-point type, as an operator says them: nothing for float32."""
    return () if dtype == FLOAT32.dtype else (TensorType(dtype),) * count


#: those of a network's tensors that are no float32, by number
Types = Mapping[int, TensorType]
