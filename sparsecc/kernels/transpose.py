"""Transpose vectors in registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparsecc._tvm import T, tirx

Vector = tuple[Any, int]  #: a buffer and the number of its row


def transposed(vectors: Sequence[Vector], *, lanes: int, dtype: str = "float32") -> Any:
    """A buffer ``(lanes, lanes)`` whose row ``n`` has element ``n`` of every vector.

    Parameters
    ----------
    vectors : sequence of (buffer, row)
        At most ``lanes`` of them; where there are fewer, the last ones' elements are repeated.
    lanes : int
        A power of two.
    dtype : str
        Of an element.

    Notes
    -----
    ``log2(lanes)`` rounds; each interleaves vector ``i`` with vector ``i + lanes / 2``::

        a0 a1 a2 a3     a0 c0 a1 c1     a0 b0 c0 d0
        b0 b1 b2 b3     a2 c2 a3 c3     a1 b1 c1 d1
        c0 c1 c2 c3     b0 d0 b1 d1     a2 b2 c2 d2
        d0 d1 d2 d3     b2 d2 b3 d3     a3 b3 c3 d3
    """
    now = [vectors[min(i, len(vectors) - 1)] for i in range(lanes)]
    half, whole = lanes // 2, tirx.Ramp(0, 1, lanes)
    for _ in range(lanes.bit_length() - 1):
        after = T.alloc_buffer((lanes, lanes), dtype, scope="global")
        for i in range(half):
            pair = [buffer[row, whole] for buffer, row in (now[i], now[i + half])]
            for high in range(2):
                order = [high * half + k // 2 + k % 2 * lanes for k in range(lanes)]
                picked = tirx.Shuffle(pair, [tirx.const(index, "int32") for index in order])
                T.buffer_store(after, picked, [2 * i + high, whole])
        now = [(after, row) for row in range(lanes)]
    return now[0][0]
