"""A compiled network as a list of kernel calls over numbered buffers: what the library's ``main.c`` is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Place = Literal["input", "output", "buffer", "weight"]


@dataclass(frozen=True)
class Port:
    """One input or output of the network: contiguous, row-major.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
        As NumPy has it.
    layout : str
        ``"nhwc"`` where images have their channels last though the network has them second; else empty.
    scale : float or None
        Of 8-bit codes in the place of float32: a code ``q`` stands for ``scale * (q - zero_point)``.
    zero_point : int or None
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    layout: str = ""
    scale: float | None = None
    zero_point: int | None = None

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * int(np.dtype(self.dtype).itemsize)


@dataclass(frozen=True)
class Ref:
    """A pointer handed to a kernel: the ``index``-th input, output, arena buffer or weight array."""

    place: Place
    index: int


@dataclass(frozen=True)
class PadFill:
    """Gaps of a padded-plane buffer that must read as zero before a kernel writes the rest.

    Written as loops::

        zero(base, lead)                                   # before the first plane
        for plane in range(planes):
            for row in range(rows):
                zero(base + lead + plane * plane_stride + row * row_stride + row_used, row_stride - row_used)
            zero(base + lead + plane * plane_stride + rows * row_stride, plane_stride - rows * row_stride)
        zero(base + lead + planes * plane_stride, tail)    # after the last plane

    All numbers but ``element`` and ``fill`` count elements. ``row_used == row_stride`` leaves the ends of rows alone.
    Where ``fill`` is another byte than zero, that is what gaps are made of.
    """

    ref: Ref
    lead: int
    planes: int
    plane_stride: int
    rows: int
    row_stride: int
    row_used: int
    tail: int
    element: int = 4
    fill: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes from the buffer's begin to the end of the last gap."""
        return self.element * (self.lead + self.planes * self.plane_stride + self.tail)


@dataclass(frozen=True)
class Step:
    """One kernel call: ``int32_t symbol(void *arg0, void *arg1, ...)``, 0 for success.

    Attributes
    ----------
    symbol : str
        C name of the kernel; several steps may share one.
    key : str
        Key of the layer or operator this step computes.
    args : tuple of Ref
        Pointers in the kernel's order.
    writes : tuple of int
        Positions in ``args`` that the kernel writes.
    pads : tuple of PadFill
        Gaps to clear before the call.
    shares : int
        Iterations of the loop that threads share out, the same for all such loops of the kernel; 0 if it is not known,
        or if every thread walks through more than its shares.
    cycles : int
        Predicted cycles of one thread; 0 if nobody knows.
    """

    symbol: str
    key: str
    args: tuple[Ref, ...]
    writes: tuple[int, ...]
    pads: tuple[PadFill, ...] = ()
    shares: int = 0
    cycles: int = 0


@dataclass(frozen=True)
class Program:
    """Everything the library needs besides the kernels' machine code.

    Attributes
    ----------
    name : str
        A C identifier: prefix of every exported function.
    inputs, outputs : tuple of Port
        The network's interface.
    buffers : tuple of int
        Size in bytes of every intermediate tensor; places in the arena are chosen later.
    weights : tuple of numpy.ndarray
        Constant arrays, any dtype, C-contiguous.
    steps : tuple of Step
        Kernel calls in order.
    description : dict
        JSON-ready facts the library carries about itself (layer table, versions, ...).
    structure : JSON-ready, optional
        How a call's result is put together from the outputs: an output's index, None, ``{"tuple": [...]}``,
        ``{"list": [...]}`` or ``{"dict": [[key, ...], ...]}`` with more of these inside, indices in order. By default
        the only output itself, or a tuple of them.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    buffers: tuple[int, ...]
    weights: tuple[NDArray[Any], ...]
    steps: tuple[Step, ...]
    description: dict[str, Any] = field(default_factory=dict)
    structure: Any = None
