"""What a direct kernel depends on, its knobs and its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.indices import DTYPES, IndexFormat
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.config import Config
from sparsecc.kernels.store import StoreShape


@dataclass(frozen=True)
class DirectShape:
    """Everything that the kernel's loops and addresses depend on, none of the weights.

    Attributes
    ----------
    spec : ConvSpec
    source : PlaneLayout
        Of the input; its halo covers the padding, or it is the phase layout of ``spec``.
    store : StoreShape
        Where results go.
    rows, block_n : int
        Rows of blocks and output channels in each.
    nnzb : int
        Kept blocks.
    uniform : int or None
        Kept blocks of every row (and run of channels) when they are equal; then there is no ``indptr``.
    dense : bool
        Every block of every row is kept, in order: no ``indices`` either.
    scattered : bool
        Output channels of a row are looked up in a table, not computed.
    by_tap : bool
        A block is one tap: its place in the kernel is part of its offset.
    index : str
        How the places of kept blocks are stored, see :func:`~sparsecc.ir.indices.index_format`.
    chunks : int
        Runs of input channels; the kept blocks of each row are packed run by run, see :class:`DirectConfig`.
    gathered : int
        Floats that a tile has of each input channel in the copy that it reads (``packed``); 0 where it reads the input.
    summed : int
        Input channels of a dense layer that are summed by themselves, a divisor of all; 0 for all in one sum.
    at_once : int
        Sums that a core adds to at a time. Tiles with at most half as many have several sets of them, and kept blocks
        go to these in turns; 0 for one set, always.
    together : int
        Channels of a block whose weights lie side by side, a multiple of those in registers; 0 for these alone. With
        all of a block, kernels that have other numbers of them in registers read the same weights.
    dtype : str
        Of pixels and weights, and of sums in registers.
    part : int
        Kept blocks whose sum is in half precision, before it is added to one of float32; 0 for all of a row.
    """

    spec: ConvSpec
    source: PlaneLayout
    store: StoreShape
    rows: int
    block_n: int
    nnzb: int
    uniform: int | None
    dense: bool
    scattered: bool
    by_tap: bool = False
    index: IndexFormat = "offset"
    chunks: int = 1
    gathered: int = 0
    summed: int = 0
    at_once: int = 0
    together: int = 0
    dtype: str = "float32"
    part: int = 0

    @property
    def sums(self) -> int:
        """Sums of channels that are added in the end."""
        return self.columns // self.summed if self.summed else 1

    @property
    def stride(self) -> int:
        """Floats from an input channel to the next one where tiles read."""
        return self.gathered or self.source.channel

    @property
    def run(self) -> int:
        """Input channels of a conv group in a run."""
        return self.spec.ic_per_group // self.chunks

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of taps in a block."""
        return (1, 1) if self.by_tap else (self.spec.kh, self.spec.kw)

    @property
    def taps(self) -> int:
        """Taps of a block."""
        kh, kw = self.kernel
        return kh * kw

    @property
    def columns(self) -> int:
        """Places of blocks in a row: input channels of a conv group, or all their taps."""
        return self.spec.ic_per_group * (self.spec.taps // self.taps)

    @property
    def flat(self) -> int:
        """Consecutive floats of a plane that are computed, first to last pixel, the input's gaps included."""
        return (self.spec.oh - 1) * self.source.pitch + self.spec.ow

    @property
    def is_staged(self) -> bool:
        """True when output rows lie otherwise than those of the input: planes are computed aside, then copied."""
        return self.source.pitch != self.store.layout.pitch

    @property
    def widens(self) -> bool:
        """True when planes can be computed inside their place in the output, then moved apart."""
        return widens(self.source, self.store)


@dataclass(frozen=True)
class DirectConfig(Config):
    """Knobs of the direct kernel.

    Attributes
    ----------
    lanes : int
        Pixels in a vector.
    vectors : int
        Vectors of pixels in a tile.
    reg_n : int
        Output channels in registers at a time; divides ``block_n``.
    rows_outer : bool
        True: a row's weights stay in cache while the image streams by; False: a tile of the image stays while the
        weights stream by.
    unroll_taps : bool
        True: all taps of a block are unrolled; False: only those of one kernel row.
    prefetch : int
        Floats of weights that are asked for ahead of their use; 0 for none.
    singles : int
        Pixels beyond the last whole vector that are computed one by one, each a vector of output channels.
    chunks : int
        Equal runs of input channels. A tile takes them one after another for all rows, so that what it reads of a run
        stays in the first cache; until the last one sums wait in the output. One where ``rows_outer`` or ``ahead``.
    packed : bool
        True: the pixels of a tile are copied first, those of all input channels of a run side by side, so that they
        share no cache lines with others and vectors lie on one line each. Not where ``rows_outer`` or ``ahead``, nor
        with kernels larger than one tap.
    ahead : bool
        True: whole tiles load for each tap what the next one multiplies, for cores that start instructions in order;
        all taps are unrolled there.
    by_lane : bool
        True: the weights of a step fill vectors, and multiply-adds take a lane of these each. Not where ``ahead``.
    """

    lanes: int
    vectors: int
    reg_n: int
    rows_outer: bool
    unroll_taps: bool
    prefetch: int = 0
    singles: int = 0
    chunks: int = 1
    packed: bool = False
    ahead: bool = False
    by_lane: bool = False

    name: ClassVar = "direct"

    @property
    def tile(self) -> int:
        """Pixels in a tile."""
        return self.lanes * self.vectors


def widens(source: PlaneLayout, store: StoreShape) -> bool:
    """Whether rows that lie as in ``source`` have room where they are stored, and move one way only."""
    layout = store.layout
    return source.pitch < layout.pitch and layout.deal == 1 and not layout.is_split


def argument_names(shape: DirectShape) -> tuple[str, ...]:
    """The kernel's parameters in order."""
    return tuple(
        name
        for name, present in (
            ("input", True),
            ("data", True),
            ("offsets", not shape.dense and shape.index == "offset"),
            ("columns", not shape.dense and shape.index == "column"),
            ("steps", not shape.dense and shape.index == "step"),
            ("table", shape.by_tap and shape.index != "offset"),
            ("indptr", shape.uniform is None),
            ("bias", True),
            ("channels", shape.scattered),
            ("mask", shape.store.masked and not shape.is_staged),
            ("residual", shape.store.residual is not None),
            ("output", True),
        )
        if present
    )


def buffer_of(name: str, shape: DirectShape) -> tuple[tuple[int], str]:
    """Shape and dtype of a parameter."""
    store = shape.store
    channels = shape.rows * shape.block_n
    sizes: dict[str, tuple[int, str]] = {
        "input": (shape.source.size(shape.spec.n * shape.spec.ic), shape.dtype),
        "data": (max(1, shape.nnzb * shape.block_n * shape.taps), shape.dtype),
        "offsets": (max(1, shape.nnzb), "int32"),
        "columns": (max(1, shape.nnzb), DTYPES["column"]),
        "steps": (max(1, shape.nnzb), DTYPES["step"]),
        "table": (shape.spec.groups * shape.columns, "int32"),
        "indptr": (shape.chunks * shape.rows + 1, "int32"),
        "bias": (channels, "float32"),
        "channels": (channels, "int32"),
        "mask": (store.layout.h * store.layout.pitch, shape.dtype),
        "residual": ((store.residual or store.layout).size(store.images * store.channels), shape.dtype),
        "output": (store.layout.size(store.images * store.channels), shape.dtype),
    }
    size, dtype = sizes[name]
    return (size,), dtype
