"""Where pixels lie in the scratch memory of a kernel: all that a run of output rows reads, padding included.

The padded image is dealt out by the remainders of row and column by the stride, as in a phase layout
(:mod:`sparsecc.ir.layout`), so that each tap reads consecutive elements. An element is a group of channels of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc.ir.conv import ConvSpec

#: elements after a plane that a vector may write over
SLACK = 64


@dataclass(frozen=True)
class Frame:
    """Elements of one group of channels.

    Attributes
    ----------
    spec : ConvSpec
    out : int
        Output rows that it serves.
    shared : bool
        Whether the padding right of a row is that left of the next one: only where the stride is 1.
    """

    spec: ConvSpec
    out: int
    shared: bool

    @property
    def rows(self) -> int:
        """Of a phase."""
        spec = self.spec
        return self.out + spec.dilation[0] * (spec.kh - 1) // spec.stride[0]

    @property
    def pitch(self) -> int:
        """Elements from row to row."""
        spec = self.spec
        _, left, _, right = spec.padding
        if self.shared:
            return spec.iw + max(left, right)
        return spec.ow + spec.dilation[1] * (spec.kw - 1) // spec.stride[1]

    @property
    def phases(self) -> tuple[tuple[int, int], ...]:
        """Remainders of row and column that have a plane."""
        (sh, sw), (dh, dw), spec = self.spec.stride, self.spec.dilation, self.spec
        rows = sorted({a * dh % sh for a in range(spec.kh)})
        return tuple((a, b) for a in rows for b in sorted({b * dw % sw for b in range(spec.kw)}))

    @property
    def plane(self) -> int:
        """Elements of a phase; whole cache lines, an odd number of them."""
        lines = -(-(self.rows * self.pitch + SLACK) // 16)
        return 16 * (lines + (lines % 2 == 0))

    @property
    def size(self) -> int:
        """Elements of a group of channels."""
        return self.plane * len(self.phases)

    @property
    def flat(self) -> int:
        """Elements from the first output pixel to the last, gaps between rows included."""
        return (self.out - 1) * self.pitch + self.spec.ow

    def tap(self, a: int, b: int) -> int:
        """Elements from where output pixel ``p`` would be, ``row * pitch + column``, to where its tap reads."""
        (sh, sw), (dh, dw) = self.spec.stride, self.spec.dilation
        which = self.phases.index((a * dh % sh, b * dw % sw))
        return which * self.plane + a * dh // sh * self.pitch + b * dw // sw

    @property
    def taps(self) -> tuple[int, ...]:
        """The same of all taps."""
        return tuple(self.tap(a, b) for a in range(self.spec.kh) for b in range(self.spec.kw))

    def columns(self, phase: int) -> tuple[int, int]:
        """First and end of the columns of a phase that are pixels."""
        (_, sw), (_, left, _, _), (_, b) = self.spec.stride, self.spec.padding, self.phases[phase]
        first = max(0, -(-(left - b) // sw))
        end = min(self.pitch, -(-(self.spec.iw + left - b) // sw))
        return min(first, self.pitch), max(first, end)

    def column(self, phase: int, k: int) -> int:
        """Input column of column ``k`` of a phase."""
        return k * self.spec.stride[1] + self.phases[phase][1] - self.spec.padding[1]

    def row(self, phase: int, i: Any) -> Any:
        """Input row of row ``i`` of a phase, counted from output row 0 on."""
        return i * self.spec.stride[0] + self.phases[phase][0] - self.spec.padding[0]


def frame_of(spec: ConvSpec, *, out: int) -> Frame:
    """The frame for so many output rows."""
    return Frame(spec, out, shared=spec.stride == (1, 1))
