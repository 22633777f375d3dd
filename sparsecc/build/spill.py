"""Packed weights on disk: once a library has them, memory need not."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.build.memory import align

#: bytes of weights below which they stay in memory
LEAST = 32 << 20


def spilled(weights: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """The same arrays, read-only, out of a temporary file without a name, which goes with the last of them.

    Where it can't be written they stay in memory.
    """
    if sum(array.nbytes for array in weights) < LEAST:
        return tuple(weights)
    try:
        with tempfile.TemporaryFile(prefix="sparsecc-") as file:
            places = []
            for array in weights:
                places.append(file.seek(align(file.tell())))
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
            file.flush()
            return tuple(
                np.memmap(file, array.dtype, "r", place, array.shape) if array.size else array
                for array, place in zip(weights, places, strict=True)
            )
    except OSError:
        return tuple(weights)
