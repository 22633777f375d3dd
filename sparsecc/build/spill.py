"""Large constant arrays on disk: between the stages that read them, memory need not have them."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.build.memory import align
from sparsecc.ir.on_disk import mapped, mapping_of
from sparsecc.ir.winograd import transformed_weight
from sparsecc.runtime.scratch import scratch_place

#: bytes of all weights of a network below which they stay in memory
LEAST = 32 << 20
#: bytes from which on an array is large: it goes to disk as soon as it is made
LARGE = 4 << 20
#: bytes that stay free on the disk: what linking needs goes before
FREE = 4 << 30


def spilled(weights: Sequence[NDArray[Any]], *, least: int | None = None) -> tuple[NDArray[Any], ...]:
    """The same arrays, read-only, out of a temporary file without a name, which goes with the last of them.

    Where they have less than ``least`` bytes (by default :data:`LEAST`) they stay in memory, and where the disk has no
    room for them. Those that are on disk already stay there.
    """
    moved = [i for i, array in enumerate(weights) if array.size and mapping_of(array) is None]
    nbytes = sum(align(weights[i].nbytes) for i in moved)
    if not moved or nbytes < (LEAST if least is None else least):
        return tuple(weights)
    try:
        written = written_to_disk([weights[i] for i in moved], nbytes=nbytes)
    except OSError:
        return tuple(weights)
    found = list(weights)
    for i, array in zip(moved, written, strict=True):
        found[i] = array
    return tuple(found)


def spilled_if_large(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, on disk if it has at least :data:`LARGE` bytes."""
    return array if array.nbytes < LARGE else spilled([array], least=LARGE)[0]


def transformed_on_disk(weight: NDArray[np.float32], m: int) -> NDArray[np.float32]:
    """A layer's weights for Winograd's algorithm, up to four times as many: large ones wait on disk to be packed."""
    return spilled_if_large(transformed_weight(weight, m))


def release() -> None:
    """Give memory back that was freed and that the C library keeps, if it is one that can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def written_to_disk(arrays: Sequence[NDArray[Any]], *, nbytes: int) -> Iterator[NDArray[Any]]:
    """Arrays that are views of one file. Raises OSError where there is no room for it."""
    place = scratch_place()
    if shutil.disk_usage(place).free < nbytes + FREE:
        raise OSError(f"no room in {place}")
    with tempfile.TemporaryFile(prefix="sparsecc-", dir=place) as file:
        places = []
        for array in arrays:
            places.append(file.seek(align(file.tell())))
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        file.flush()
        whole = mapped(file)
    return (
        whole[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        for array, start in zip(arrays, places, strict=True)
    )
