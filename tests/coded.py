"""Quantized layers as torchao's PT2E flow leaves them, written by hand: quantize and dequantize around float ones.

Scales are powers of two: float32 then computes sums of products exactly, in any order, and results have to be equal.
"""

from __future__ import annotations

import torch
import torch.ao.quantization.fx._decomposed  # PyTorch's operators of codes
from torch import Tensor, nn

OPS = torch.ops.quantized_decomposed
#: bounds of the codes of a type
BOUNDS = {torch.uint8: (0, 255), torch.int8: (-128, 127)}


def through_codes(
    x: Tensor,
    scale: float = 2**-4,
    zero: int = 0,
    dtype: torch.dtype = torch.uint8,
    bounds: tuple[int, int] | None = None,
) -> Tensor:
    """Values as their codes have them."""
    low, high = bounds or BOUNDS[dtype]
    codes = OPS.quantize_per_tensor(x, scale, zero, low, high, dtype)
    return OPS.dequantize_per_tensor(codes, scale, zero, low, high, dtype)


class CodedWeight(nn.Module):
    """An int8 weight with a scale for each place along an axis, or for all; with 1x4 blocks pruned."""

    def __init__(self, shape: tuple[int, ...], *, axis: int | None = 0, density: float = 1.0, zero: int = 0) -> None:
        super().__init__()
        codes = torch.randint(-127, 128, shape, dtype=torch.int8)
        if density < 1:
            kept = torch.rand(-(-shape[0] // 4), *shape[1:2], *(1,) * (len(shape) - 2)) < density
            codes *= kept.repeat_interleave(4, 0)[: shape[0]]
        self.axis, self.scale, self.zero = axis, 2.0**-9, zero
        self.register_buffer("codes", codes)
        channels = 1 if axis is None else shape[axis]
        self.register_buffer("scales", 2.0 ** torch.randint(-10, -7, (channels,)))
        self.register_buffer("zeros", torch.full((channels,), zero))

    def forward(self) -> Tensor:
        """As float32."""
        if self.axis is None:
            return OPS.dequantize_per_tensor(self.codes, self.scale, self.zero, -128, 127, torch.int8)
        return OPS.dequantize_per_channel(self.codes, self.scales, self.zeros, self.axis, -128, 127, torch.int8)


class CodedConv(nn.Module):
    """A convolution with such a weight; 0 input channels a group for a linear layer."""

    def __init__(
        self,
        ic: int,
        oc: int,
        kernel: int = 1,
        *,
        density: float = 1.0,
        axis: int | None = 0,
        zero: int = 0,
        **moves: int,
    ) -> None:
        super().__init__()
        self.moves = moves
        self.weight = CodedWeight(
            (oc, ic // moves.get("groups", 1), kernel, kernel), axis=axis, density=density, zero=zero
        )
        self.register_buffer("bias", torch.randint(-64, 64, (oc,)) * 2.0**-6)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return nn.functional.conv2d(x, self.weight(), self.bias, **self.moves)


class CodedLinear(nn.Module):
    """A linear layer with such a weight."""

    def __init__(self, ic: int, oc: int, *, density: float = 1.0, axis: int | None = 0) -> None:
        super().__init__()
        self.weight = CodedWeight((oc, ic), axis=axis, density=density)
        self.register_buffer("bias", torch.randint(-64, 64, (oc,)) * 2.0**-6)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        return nn.functional.linear(x, self.weight(), self.bias)


class CodedBranch(nn.Module):
    """All kinds of layers of codes: ``(n, 3, h, w)`` to ``(n, 10)``."""

    def __init__(self, density: float = 1.0) -> None:
        super().__init__()
        self.stem = CodedConv(3, 16, 3, padding=1, stride=2)
        self.depthwise = CodedConv(16, 16, 3, padding=1, groups=16)
        self.narrow = CodedConv(16, 16, density=density)
        self.head = CodedLinear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify images."""
        x = nn.functional.max_pool2d(through_codes(self.stem(through_codes(x, 2**-5, 128)).relu()), 3, 1, 1)
        y = through_codes(nn.functional.relu6(self.depthwise(x)), 2**-5)
        x = through_codes((self.narrow(y) + x).relu(), 2**-3, 3)
        return self.head(through_codes(x.mean((2, 3)), 2**-4, 5))
