"""The way along a row's kept blocks: where each one reads."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import T
from sparsecc.kernels.direct_shape import DirectShape


class Walk:
    """Offsets of the kept blocks of a row, one after another.

    With ``offset`` indices a block's offset is loaded. With ``column`` indices it is computed from the number of its
    input channel, or looked up where a block is one tap. With ``step`` indices that number is counted up::

        column = the first one of the run
        for kept block:
            column += steps[block]
            x = input[column * floats per channel]       # or input[table[column]]

    Parameters
    ----------
    shape : DirectShape
    buffers : dict
        The kernel's parameters.
    row, chunk : expression
        Row of blocks, and run of input channels.
    """

    def __init__(self, shape: DirectShape, buffers: dict[str, Any], row: Any, chunk: Any = 0) -> None:
        self._shape, self._buffers, self._row, self._chunk = shape, buffers, row, chunk
        self.first, self.count = row_range(shape.uniform, buffers, chunk * shape.rows + row)

    def start(self) -> None:
        """Emit what comes before the loop over kept blocks."""
        if self._steps:
            self._column = T.alloc_buffer((1,), "int32", scope="global")
            first = 0 if self._shape.gathered else self._chunk * (self._shape.columns // self._shape.chunks)
            T.buffer_store(self._column, T.int32(first) if isinstance(first, int) else first, [0])

    def advance(self, j: Any) -> None:
        """Emit what comes first for kept block ``j``."""
        if self._steps:
            step = T.cast(self._buffers["steps"][self.first + j], "int32")
            T.buffer_store(self._column, self._column[0] + step, [0])

    def offset(self, j: Any) -> Any:
        """Floats from the image's first channel to the channel (or the tap) of kept block ``j``.

        In a copy of a run's pixels: from the run's first channel.
        """
        shape, buffers = self._shape, self._buffers
        if shape.dense:
            if shape.gathered:
                return j * shape.stride
            group = self._group()
            first = group * shape.spec.ic_per_group + self._chunk * shape.run
            return first * shape.stride + group * shape.source.gap + j * shape.stride
        if shape.index == "offset":
            return buffers["offsets"][self.first + j]
        column = self._column[0] if self._steps else T.cast(buffers["columns"][self.first + j], "int32")
        if shape.by_tap:
            return buffers["table"][column]
        return column * shape.stride if shape.gathered else shape.source.first(column)

    @property
    def _steps(self) -> bool:
        return not self._shape.dense and self._shape.index == "step"

    def _group(self) -> Any:
        """The row's conv group; only dense rows lie in order of their groups."""
        spec, rows = self._shape.spec, self._shape.rows
        return 0 if spec.groups == 1 else self._row // (rows // spec.groups)


def row_range(uniform: int | None, buffers: dict[str, Any], row: Any) -> tuple[Any, Any]:
    """First kept block of a row and how many there are; ``uniform`` is that number where all rows keep as many."""
    if uniform is not None:
        return row * uniform, uniform
    indptr = buffers["indptr"]
    return indptr[row], indptr[row + 1] - indptr[row]
