"""Where the pixels of an activation lie in memory: padded planes (SkimCaffe's shared padding, PAPERS section 3).

A *plain* tensor is contiguous NCHW. A *padded plane* keeps rows ``pitch`` floats apart and planes ``plane`` floats
apart; the gaps read as zero, so a convolution needs no bounds checks and a vector of pixels may run across the end of
a row::

    lead | row 0 ....  0 | row 1 .... 0 | ... | zone of zeros | row 0 of the next plane ... | tail

The zeros right of a row are also the zeros left of the next row; the zone below a plane is also the zone above the
next.

A *phase* layout serves strided kernels: the padded image is dealt out to ``sh * sw`` planes by the remainders of row
and column, so that each tap reads consecutive floats for consecutive output pixels.

A *dealt* plane does the same for stride 2 while it is written: the padded plane's consecutive floats go to two halves
in turn. Two rows on is one pitch on within a half, two columns on is one float on, whatever the pitch is::

    0 1 2 3 4 | 5 6 7 8 9 | ...   ->   0 2 4 6 8 ...   and   1 3 5 7 9 ...      pixel (r, c) of pitch 5 is 5 * r + c
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sparsecc.ir.conv import ConvSpec

#: floats in a 64-byte cache line
LINE = 16
#: most floats of an aligned plane, relative to its pixels
_MOST_ALIGNED = 1.1
#: planes a multiple of so many floats apart share few sets of a cache
_ALIASED = 16 * LINE


@dataclass(frozen=True)
class PlaneLayout:
    """Addresses of a tensor ``(n, c, h, w)`` in floats from the start of its buffer.

    Attributes
    ----------
    h, w : int
        Image size in pixels.
    pitch : int
        Floats from a row to the next one of the same plane.
    plane : int
        Floats from a plane to the next one.
    lead, tail : int
        Floats before the first and after the last plane that may be read.
    halo : tuple of int
        ``(top, left, bottom, right)`` pixels around the image that read as zero.
    phases : tuple of (int, int)
        Remainders ``(row, column)`` that have a plane of their own; ``((0, 0),)`` for an unsplit layout.
    step : tuple of int
        Divisors ``(sh, sw)`` of those remainders; ``(1, 1)`` for an unsplit layout.
    deal : int
        Planes that consecutive floats are dealt out to: 2 for a dealt plane, else 1.
    run, gap : int
        Every ``run`` channels ``gap`` floats are left free; a run of 0 for none.
    """

    h: int
    w: int
    pitch: int
    plane: int
    lead: int = 0
    tail: int = 0
    halo: tuple[int, int, int, int] = (0, 0, 0, 0)
    phases: tuple[tuple[int, int], ...] = ((0, 0),)
    step: tuple[int, int] = (1, 1)
    deal: int = 1
    run: int = 0
    gap: int = 0

    @property
    def is_plain(self) -> bool:
        """True for contiguous NCHW."""
        whole = self.step == (1, 1) and self.deal == 1 and not self.gap
        return whole and self.pitch == self.w and self.plane == self.h * self.w and self.lead == 0

    @property
    def is_split(self) -> bool:
        """True for a phase layout."""
        return self.step != (1, 1)

    @property
    def channel(self) -> int:
        """Floats from a channel to the next one."""
        return self.plane * len(self.phases) * self.deal

    def size(self, planes: int) -> int:
        """Floats of a buffer for ``planes`` (= n * c) images."""
        return self.lead + int(self.first(planes)) + self.tail

    def first(self, planes: Any) -> Any:
        """Floats from the first channel to channel number ``planes``, a number, an array or an expression."""
        return planes * self.channel + (planes // self.run * self.gap if self.gap else 0)

    def tap_offset(self, row: int, col: int) -> int:
        """Floats from a channel's start to padded pixel ``(row, col)``.

        ``row`` and ``col`` count from the image's first pixel, negative into the halo, so that output pixel 0 of a tap
        that looks one row up is ``(-1, 0)``. For a phase layout they count from the corner of the halo.
        """
        if not self.is_split:
            float_ = row * self.pitch + col
            return self.lead + float_ % self.deal * self.plane + float_ // self.deal
        sh, sw = self.step
        which = self.phases.index((row % sh, col % sw))
        return self.lead + which * self.plane + (row // sh) * self.pitch + col // sw


def plain(h: int, w: int) -> PlaneLayout:
    """Contiguous NCHW."""
    return PlaneLayout(h=h, w=w, pitch=w, plane=h * w)


def compact(h: int, w: int) -> PlaneLayout:
    """Rows without gaps, planes that begin at a cache line: a vector of pixels is then loaded from one line, not two.

    Measured on a Zen 5, 1x1 convolutions with N = 4: on 14 x 14 pixels 12 % faster than with planes 784 bytes apart. On
    7 x 7 it is slower by a third, planes would take 31 % more of the cache: those stay tight.
    """
    floats = _up(h * w)
    if floats > _MOST_ALIGNED * h * w:
        floats = h * w
    return PlaneLayout(h=h, w=w, pitch=w, plane=floats + (floats % _ALIASED == 0) * LINE)


def apart(layout: PlaneLayout, *, run: int) -> PlaneLayout:
    """The same with runs of channels an odd number of cache lines apart.

    What is one channel of each run then lies in other sets of a cache: a kernel that writes 36 runs side by side, a
    multiple of 4096 bytes apart, took three times as long.
    """
    floats = run * layout.channel
    lines = -(-floats // LINE)
    return replace(layout, run=run, gap=(lines + (lines % 2 == 0)) * LINE - floats)


def padded(h: int, w: int, *, halo: tuple[int, int, int, int], pitch: int) -> PlaneLayout:
    """An unsplit layout with at least this halo; plain when there is nothing to pad."""
    top, left, bottom, right = halo
    if pitch < w + max(left, right):
        raise ValueError(f"pitch {pitch} has no room for {w} pixels and a halo of {halo}")
    if pitch == w and halo == (0, 0, 0, 0):
        return PlaneLayout(h=h, w=w, pitch=pitch, plane=h * w)
    above, below = top * pitch + left, bottom * pitch + right
    return PlaneLayout(
        h=h, w=w, pitch=pitch, plane=_spread(h * pitch + max(above, below)), lead=_up(above), tail=below, halo=halo
    )


def dealt(h: int, w: int, *, halo: tuple[int, int, int, int], pitch: int) -> PlaneLayout:
    """A padded plane whose floats are dealt out to two halves, each with half the halo around it."""
    top, left, bottom, right = halo
    above, below = _up(-(-(top * pitch + left) // 2)), -(-(bottom * pitch + right) // 2)
    half = _spread(-(-h * pitch // 2) + max(above, below))
    return PlaneLayout(h=h, w=w, pitch=pitch, plane=half, lead=above, tail=below + LINE, halo=halo, deal=2)


def split(spec: ConvSpec, *, pitch: int) -> PlaneLayout:
    """The phase layout that kernel ``spec`` reads: only the phases its taps touch, halo included."""
    sh, sw = spec.stride
    dh, dw = spec.dilation
    rows = sorted({r * dh % sh for r in range(spec.kh)})
    cols = sorted({s * dw % sw for s in range(spec.kw)})
    height = split_height(spec)
    # the last row of pixels runs on past its end: one more row may be read
    return PlaneLayout(
        h=spec.ih,
        w=spec.iw,
        pitch=pitch,
        plane=_spread(height * pitch),
        tail=pitch + LINE,
        halo=spec.padding,
        phases=tuple((a, b) for a in rows for b in cols),
        step=spec.stride,
    )


def split_height(spec: ConvSpec) -> int:
    """Rows of one phase plane."""
    return spec.oh + (spec.dilation[0] * (spec.kh - 1)) // spec.stride[0]


def split_width(spec: ConvSpec) -> int:
    """Columns of one phase plane that hold pixels: the least pitch."""
    return spec.ow + (spec.dilation[1] * (spec.kw - 1)) // spec.stride[1]


def scratch_width(spec: ConvSpec) -> int:
    """Least pitch of a plane that a window kernel copies its input to.

    Also the output's where pixels are computed in runs beyond a row.
    """
    _, left, _, right = spec.padding
    return spec.iw + max(left, right) if spec.stride == (1, 1) else split_width(spec)


def _up(floats: int) -> int:
    return -(-floats // LINE) * LINE


def _spread(floats: int) -> int:
    """Round up to whole cache lines, an odd number of them for large planes.

    Planes a power of two apart fall into the same few sets of the cache, which cost up to 2x when measured.
    """
    lines = -(-floats // LINE)
    return (lines + (lines % 2 == 0 and lines >= 16)) * LINE
