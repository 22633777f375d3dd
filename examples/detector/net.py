"""The network: a small residual backbone, a neck that joins two scales, one head for both."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from detector.scenes import CLASSES

#: pixels of the image for a cell of an output
STRIDES = (8, 16)
#: of a cell: whether a shape's centre is here, distances to its four sides, and its class
OUTPUTS = 1 + 4 + len(CLASSES)


def _conv(ic: int, oc: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(ic, oc, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(oc), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """``x`` and two 3x3 convolutions of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(channels, channels, 3), _conv(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (n, c, h, w)."""
        sum_: Tensor = x + self.body(x)
        return sum_


class Detector(nn.Module):
    """Cells at strides 8 and 16, eight raw numbers each: :mod:`detector.boxes` says what they mean.

    Parameters
    ----------
    width : int
        Channels after the stem, a multiple of 16; later ones have two, four and eight times as many.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        c = width
        self.stem = nn.Sequential(_conv(3, c, 3, 2), _conv(c, 2 * c, 3, 2))
        self.stage8 = nn.Sequential(_conv(2 * c, 4 * c, 3, 2), Residual(4 * c))
        self.stage16 = nn.Sequential(_conv(4 * c, 8 * c, 3, 2), Residual(8 * c), _conv(8 * c, 4 * c, 1))
        self.join = _conv(8 * c, 4 * c, 1)
        self.neck = _conv(4 * c, 4 * c, 3)
        self.head = nn.Sequential(_conv(4 * c, 4 * c, 3), nn.Conv2d(4 * c, OUTPUTS, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map images, (n, 3, h, w), 0 to 1, to the cells of both scales.

        Returns
        -------
        dict of Tensor
            ``fine``, (n, 8, h / 8, w / 8), and ``coarse``, (n, 8, h / 16, w / 16).
        """
        map8 = self.stage8(self.stem(image))
        map16 = self.stage16(map8)
        joined = self.join(torch.cat([map8, interpolate(map16, scale_factor=2.0, mode="nearest")], 1))
        return {"fine": self.head(self.neck(joined)), "coarse": self.head(map16)}
