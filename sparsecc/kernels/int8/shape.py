"""What a convolution of codes is compiled from."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.quantized import Quantization
from sparsecc.kernels.config import Config
from sparsecc.kernels.function import Kind
from sparsecc.kernels.int8.instructions import Instructions

Value = TypeVar("Value")
#: bytes that may be read after a tensor's last pixel, where its layout has a tail as long
OVERREAD = 128
#: pixels of a row, where planes have no gaps: seven tiles of 28
ROW = 196


@dataclass(frozen=True)
class Result:
    """What is made of sums: see :class:`~sparsecc.ir.quantized.QuantizedConv`.

    Attributes
    ----------
    layout : PlaneLayout
        Of the output, in its elements.
    to : Quantization or None
        None for float32.
    low, high : int
    activation : Activation or None
    residual : Quantization or None
    residual_layout : PlaneLayout or None
    """

    layout: PlaneLayout
    to: Quantization | None
    low: int = 0
    high: int = 0
    activation: Activation | None = None
    residual: Quantization | None = None
    residual_layout: PlaneLayout | None = None

    @property
    def dtype(self) -> str:
        """Of the output buffer: codes of either type are bytes."""
        return "float32" if self.to is None else "uint8"


@dataclass(frozen=True)
class QuantShape:
    """Shape of a kernel.

    Attributes
    ----------
    spec : ConvSpec
    source : PlaneLayout
        Of the input, in bytes; pixels are read one by one where its tail is shorter than :data:`OVERREAD`.
    codes : Quantization
        Of the input.
    result : Result
    instructions : Instructions
    rows, block_n : int
        Rows of blocks, and output channels of each.
    count : int
        Groups of kept channels of all rows.
    most : int
        Of the row that has most.
    uniform : int or None
        Of each row, where they are equal.
    dense : bool
        Every row reads all channels of its conv group, in order.
    scattered : bool
        Output channels are looked up.
    fits : bool
        Whether no value, in steps of the result, can be beyond 32 bits.
    """

    spec: ConvSpec
    source: PlaneLayout
    codes: Quantization
    result: Result
    instructions: Instructions
    rows: int
    block_n: int
    count: int
    most: int
    uniform: int | None
    dense: bool
    scattered: bool
    fits: bool = False

    @property
    def slots(self) -> int:
        """Output channels of all rows."""
        return self.rows * self.block_n

    @property
    def flips(self) -> bool:
        """Whether codes are of the other sign than the instructions want."""
        return (self.codes.dtype == "int8") != self.instructions.signed

    @property
    def shift(self) -> int:
        """What that adds to a code."""
        return self.instructions.shift(signed=self.codes.dtype == "int8")

    @property
    def zero(self) -> int:
        """The zero point as the instructions see it."""
        return self.codes.zero_point + self.shift

    @property
    def is_flat(self) -> bool:
        """Whether a plane is read as one row of pixels."""
        spec, residual = self.spec, self.result.residual_layout
        layouts = (self.source, self.result.layout, *(() if residual is None else (residual,)))
        return spec.is_pointwise and spec.stride == (1, 1) and all(layout.pitch == spec.iw for layout in layouts)

    def in_rows(self, width: int) -> QuantShape:
        """The same shape with planes without gaps as rows of so many pixels; any other as it is."""
        pixels = self.spec.ih * self.spec.iw
        if not self.is_flat or pixels % width:
            return self
        spec = replace(self.spec, ih=pixels // width, iw=width)

        def rows(layout: PlaneLayout) -> PlaneLayout:
            return replace(layout, h=pixels // width, w=width, pitch=width)

        residual = self.result.residual_layout
        result = replace(
            self.result, layout=rows(self.result.layout), residual_layout=None if residual is None else rows(residual)
        )
        return replace(self, spec=spec, source=rows(self.source), result=result)

    @property
    def flat(self) -> QuantShape:
        """The same with rows of about :data:`ROW` pixels, where planes without gaps can be cut so."""
        pixels = self.spec.ih * self.spec.iw
        fit = [width for width in range(ROW // 2, 2 * ROW) if pixels % width == 0]
        width = pixels if pixels < 2 * ROW else min(fit, key=lambda width: abs(width - ROW), default=self.spec.iw)
        return self.in_rows(width)


@dataclass(frozen=True)
class QuantLanes(Config):
    """Knobs of the kernel with channels as the vector.

    Attributes
    ----------
    vectors : int
        Vectors of channels in registers; they divide a row of blocks.
    rows, cols : int
        Pixels of a tile.
    band : int
        Output rows whose pixels are put side by side at a time.
    block_n : int
        Output channels of a row of blocks.
    """

    vectors: int
    rows: int
    cols: int
    band: int
    block_n: int = 0

    name: ClassVar = "int8_lanes"

    @property
    def packing(self) -> Hashable:
        """See :class:`Config`."""
        return "lanes", self.block_n, self.vectors

    def by_kernel(self, lanes: Callable[[QuantLanes], Value], pixels: Callable[[QuantPixels], Value]) -> Value:
        """What is asked of the kernel that it is for."""
        return lanes(self)


@dataclass(frozen=True)
class QuantPixels(Config):
    """Knobs of the kernel with pixels as the vector.

    Attributes
    ----------
    reg_n : int
        Channels in registers; they divide a row of blocks.
    vectors : int
        Vectors of pixels of each.
    band : int
        Output rows whose pixels are put side by side at a time; 0: in registers, tile by tile.
    block_n : int
        Output channels of a row of blocks.
    """

    reg_n: int
    vectors: int
    band: int
    block_n: int = 0

    name: ClassVar = "int8_pixels"

    @property
    def packing(self) -> Hashable:
        """See :class:`Config`."""
        return "pixels", self.block_n, self.reg_n

    def by_kernel(self, lanes: Callable[[QuantLanes], Value], pixels: Callable[[QuantPixels], Value]) -> Value:
        """See :class:`QuantLanes`."""
        return pixels(self)


def parameters(shape: QuantShape) -> list[tuple[str, Kind]]:
    """Parameters of the kernels, in their order, with shape and dtype."""
    spec, result, group = shape.spec, shape.result, shape.instructions.group
    weights = shape.count * spec.taps * shape.block_n
    found: list[tuple[str, Any]] = [
        ("input", ((shape.source.size(spec.n * spec.ic),), "uint8")),
        ("weights", ((max(1, weights),), shape.instructions.dtype)),
        ("sums", ((shape.slots,), "int32")),
        ("factors", ((shape.slots,), "float32")),
        ("biases", ((shape.slots,), "float32")),
    ]
    if not shape.dense:
        found.append(("offsets", ((max(1, shape.count * group),), "int32")))
    if shape.uniform is None:
        found.append(("indptr", ((shape.rows + 1,), "int32")))
    if shape.scattered:
        found.append(("channels", ((shape.slots,), "int32")))
    if result.residual_layout is not None:
        found.append(("residual", ((result.residual_layout.size(spec.n * spec.oc),), "uint8")))
    found.append(("output", ((result.layout.size(spec.n * spec.oc),), result.dtype)))
    return found
