"""Where pixels lie in the scratch memory of a kernel: all that a run of output rows reads, padding included.

Where pixels are the vector, the padded image is dealt out by the remainders of row and column by the stride, as in a
phase layout (:mod:`sparsecc.ir.layout`), so that each tap reads consecutive elements. Where they are broadcast, rows
are whole. An element is a group of channels of a pixel.
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
    whole : bool
        Whether rows lie as they are, whatever the stride.
    """

    spec: ConvSpec
    out: int
    shared: bool
    whole: bool

    @property
    def steps(self) -> tuple[int, int]:
        """Rows and elements from an output pixel to the next, down and to the right."""
        if not self.whole:
            return 1, 1
        return (1 if self.spec.kh == 1 else self.spec.stride[0]), self.spec.stride[1]

    @property
    def apart(self) -> int:
        """Pixels of the input from one element to the next."""
        return 1 if self.whole else self.spec.stride[1]

    @property
    def rows(self) -> int:
        """Of a phase."""
        spec, reach = self.spec, self.spec.dilation[0] * (self.spec.kh - 1)
        if self.whole:
            return (self.out - 1) * self.steps[0] + reach + 1
        return self.out + reach // spec.stride[0]

    @property
    def pitch(self) -> int:
        """Elements from row to row."""
        spec = self.spec
        _, left, _, right = spec.padding
        if self.shared:
            return spec.iw + max(left, right)
        if self.whole:
            return (spec.ow - 1) * spec.stride[1] + spec.dilation[1] * (spec.kw - 1) + 1
        return spec.ow + spec.dilation[1] * (spec.kw - 1) // spec.stride[1]

    @property
    def phases(self) -> tuple[tuple[int, int], ...]:
        """Remainders of row and column that have a plane."""
        if self.whole:
            return ((0, 0),)
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
        if self.whole:
            return a * dh * self.pitch + b * dw
        which = self.phases.index((a * dh % sh, b * dw % sw))
        return which * self.plane + a * dh // sh * self.pitch + b * dw // sw

    @property
    def taps(self) -> tuple[int, ...]:
        """The same of all taps."""
        return tuple(self.tap(a, b) for a in range(self.spec.kh) for b in range(self.spec.kw))

    def columns(self, phase: int) -> tuple[int, int]:
        """First and end of the columns of a phase that are pixels."""
        (_, left, _, _), (_, b), sw = self.spec.padding, self.phases[phase], self.apart
        first = max(0, -(-(left - b) // sw))
        end = min(self.pitch, -(-(self.spec.iw + left - b) // sw))
        return min(first, self.pitch), max(first, end)

    def column(self, phase: int, k: int) -> int:
        """Input column of column ``k`` of a phase."""
        return k * self.apart + self.phases[phase][1] - self.spec.padding[1]

    def row(self, phase: int, first: Any, i: Any) -> Any:
        """Input row of row ``i`` of a phase, where the first output row is ``first``."""
        (step, _), top = self.spec.stride, self.spec.padding[0]
        if self.whole and self.spec.kh > 1:
            return first * step + i - top
        return (first + i) * step + self.phases[phase][0] - top


def frame_of(spec: ConvSpec, *, out: int, whole: bool = False) -> Frame:
    """The frame for so many output rows; ``whole`` matters where there is a stride."""
    flat = spec.stride == (1, 1)
    return Frame(spec, out, shared=flat, whole=whole and not flat)
