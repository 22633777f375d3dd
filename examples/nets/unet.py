"""U-Net with padded convolutions and transposed-convolution upsampling."""

from __future__ import annotations

import torch
from torch import nn

from .layers import crop_to, scaled


def _double(ic: int, oc: int, activation: str) -> nn.Sequential:
    parts: list[nn.Module] = []
    for source in (ic, oc):
        act = nn.Mish() if activation == "mish" else nn.PReLU(oc)
        parts += [nn.Conv2d(source, oc, 3, padding=1, bias=False), nn.BatchNorm2d(oc), act]
    return nn.Sequential(*parts)


def _pad_to(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    rows, columns = like.shape[-2] - x.shape[-2], like.shape[-1] - x.shape[-1]
    return (
        nn.functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        if rows or columns
        else x
    )


class UNet(nn.Module):
    """Five levels; where an odd size was halved, either the upsampled map is padded or the skip is cropped."""

    def __init__(self, base: int, classes: int, activation: str, fit: str) -> None:
        super().__init__()
        self.fit = fit
        levels = [base << i for i in range(5)]
        pairs = list(zip([3, *levels[:-1]], levels, strict=True))
        self.down = nn.ModuleList(_double(ic, oc, activation) for ic, oc in pairs)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, 2) for c in reversed(levels[:-1]))
        self.merge = nn.ModuleList(_double(2 * c, c, activation) for c in reversed(levels[:-1]))
        self.head = nn.Conv2d(base, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, 3, ih, iw) to (n, classes, oh, ow); with ``fit="pad"`` the output has the input's size."""
        skips: list[torch.Tensor] = []
        for i, down in enumerate(self.down):
            x = down(self.pool(x) if i else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x, skip = up(x), skips.pop()
            pair = [skip, _pad_to(x, skip)] if self.fit == "pad" else [crop_to(skip, x), x]
            x = merge(torch.cat(pair, 1))
        return self.head(x)


def unet(width: float = 1.0, classes: int = 2, *, activation: str = "mish", fit: str = "pad") -> nn.Module:
    """U-Net; ``activation`` is "mish" or "prelu", ``fit`` is "pad" or "crop"."""
    if activation not in ("mish", "prelu") or fit not in ("pad", "crop"):
        raise ValueError(f"unet: activation {activation!r} must be 'mish' or 'prelu', fit {fit!r} 'pad' or 'crop'")
    return UNet(scaled(64, width), classes, activation, fit)


def unet_prelu(width: float = 1.0, classes: int = 2) -> nn.Module:
    """U-Net with PReLU and cropped skips."""
    return unet(width, classes, activation="prelu", fit="crop")
