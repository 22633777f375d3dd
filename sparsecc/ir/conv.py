"""Shape of one convolution or linear layer, in oneDNN's letters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConvSpec:
    """A two-dimensional convolution; a linear layer is its one-pixel case.

    Attributes
    ----------
    n, ic, ih, iw : int
        Batch, input channels, input height and width (pixels).
    oc, kh, kw : int
        Output channels, kernel height and width (taps).
    stride, dilation : tuple of int
        ``(vertical, horizontal)``, as in PyTorch.
    padding : tuple of int
        ``(top, left, bottom, right)`` zeros around the input.
    groups : int
        As in PyTorch; ``ic`` and ``oc`` are divisible by it.
    """

    n: int
    ic: int
    ih: int
    iw: int
    oc: int
    kh: int = 1
    kw: int = 1
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def oh(self) -> int:
        """Output height in pixels."""
        top, _, bottom, _ = self.padding
        return (self.ih + top + bottom - self.dilation[0] * (self.kh - 1) - 1) // self.stride[0] + 1

    @property
    def ow(self) -> int:
        """Output width in pixels."""
        _, left, _, right = self.padding
        return (self.iw + left + right - self.dilation[1] * (self.kw - 1) - 1) // self.stride[1] + 1

    @property
    def taps(self) -> int:
        """Weights of one kernel: ``kh * kw``."""
        return self.kh * self.kw

    @property
    def ic_per_group(self) -> int:
        """Input channels that one output channel sees."""
        return self.ic // self.groups

    @property
    def oc_per_group(self) -> int:
        """Output channels of one group."""
        return self.oc // self.groups

    @property
    def is_depthwise(self) -> bool:
        """True when every output channel sees exactly one input channel."""
        return self.groups > 1 and self.groups == self.ic

    @property
    def is_pointwise(self) -> bool:
        """True for a 1x1 kernel without padding (any stride)."""
        return self.taps == 1 and self.padding == (0, 0, 0, 0)

    @property
    def is_linear(self) -> bool:
        """True when the image is one pixel and the kernel one tap: a matrix product."""
        return self.is_pointwise and self.ih == 1 and self.iw == 1 and self.groups == 1

    @property
    def macs(self) -> int:
        """Multiply-adds of the dense layer."""
        return self.n * self.oc * self.oh * self.ow * self.ic_per_group * self.taps

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Shape of the dense weight: ``(oc, ic / groups, kh, kw)``."""
        return (self.oc, self.ic_per_group, self.kh, self.kw)

    @property
    def sums_all(self) -> bool:
        """True when every output is a sum over all channels: they may come in any order."""
        return self.groups == 1

    @property
    def keeps_channels(self) -> bool:
        """True when there is one output channel for each input channel."""
        return self.is_depthwise and self.oc == self.ic
