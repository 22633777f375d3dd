"""One plane of codes in scratch memory, with its padding around it: what kernels of windows read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T, tirx
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.int8.instructions import ramp
from sparsecc.kernels.int8.requantize import wide
from sparsecc.kernels.int8.shape import OVERREAD


@dataclass(frozen=True)
class ScratchPlane:
    """Where the pixels of a plane are copied to, as bytes.

    Attributes
    ----------
    spec : ConvSpec
    source : PlaneLayout
        Of the input, in bytes.
    flips : bool
        Whether bytes get another sign.
    fill : int
        Byte for padding, after that.
    """

    spec: ConvSpec
    source: PlaneLayout
    flips: bool
    fill: int

    @property
    def rows(self) -> int:
        """Those that windows reach."""
        spec = self.spec
        return (spec.oh - 1) * spec.stride[0] + spec.dilation[0] * (spec.kh - 1) + 1

    @property
    def pitch(self) -> int:
        """Bytes from row to row."""
        spec = self.spec
        return -(-(spec.iw + spec.padding[1] + spec.padding[3] + 16) // 16) * 16

    @property
    def unit(self) -> int:
        """Bytes that are copied at a time."""
        return 64 if self.spec.iw > 32 else 16


def copy_plane(plane: ScratchPlane, source: Any, scratch: Any, first: Any) -> None:
    """Emit code that copies the rows that are read, with padding around them.

    Parameters
    ----------
    plane : ScratchPlane
    source, scratch : buffer
        Bytes.
    first : expression
        Byte of the plane's first pixel.
    """
    spec, pitch, unit = plane.spec, plane.pitch, plane.unit
    top, left, _, right = spec.padding
    with T.serial(0, plane.rows) as i:
        row = i - top
        with T.If(tirx.all(row >= 0, row < spec.ih)):
            with T.Then():
                for start in range(0, spec.iw, unit):
                    width = min(unit, spec.iw - start) if plane.source.tail < OVERREAD else unit
                    loaded = source[ramp(first + row * plane.source.pitch + start, width)]
                    if plane.flips:
                        loaded = loaded ^ wide(tirx.const(0x80, "uint8"), width)
                    T.buffer_store(scratch, loaded, [ramp(i * pitch + left + start, width)])
                _fill(plane, scratch, i * pitch, left)
                _fill(plane, scratch, i * pitch + left + spec.iw, right)
            with T.Else():
                _fill(plane, scratch, i * pitch, left + spec.iw + right)


def _fill(plane: ScratchPlane, scratch: Any, first: Any, count: int) -> None:
    for start in range(0, count, 16):
        width = min(16, count - start)
        T.buffer_store(scratch, wide(tirx.const(plane.fill & 255, "uint8"), width), [ramp(first + start, width)])
