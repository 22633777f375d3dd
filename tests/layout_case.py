"""Halos and convolutions of any kind, for the tests of layouts."""

from __future__ import annotations

from hypothesis import strategies as st

from sparsecc.ir.conv import ConvSpec

Halo = tuple[int, int, int, int]
NO_HALO: Halo = (0, 0, 0, 0)
ONE: Halo = (1, 1, 1, 1)

margins = st.integers(0, 4)
halos = st.tuples(margins, margins, margins, margins)


@st.composite
def convolutions(draw: st.DrawFn, *, groups: bool = True, largest: int = 9) -> ConvSpec:
    """Any convolution that has an output."""
    kernel, stride, dilation = (draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(3))
    stride = (min(stride[0], 3), min(stride[1], 3))
    padding = draw(halos)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    low = [max(1, reach[i] - padding[i] - padding[i + 2]) for i in range(2)]
    ih, iw = (draw(st.integers(smallest, max(smallest, largest))) for smallest in low)
    g = draw(st.sampled_from([1, 1, 2, 3])) if groups else 1
    ic, oc = (g * draw(st.integers(1, 5)) for _ in range(2))
    n = draw(st.integers(1, 3))
    return ConvSpec(n, ic, ih, iw, oc, *kernel, stride, padding, dilation, g)
