"""Inputs to verify with, where the caller has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

#: integers are less than this, as labels and the bytes of images are
_END = 128


def random_of(dtype: Any, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Normal numbers, bytes from 0 to 255, other integers of any sign up to 127, or truth values."""
    sizes = tuple(shape)
    if dtype == torch.float32:
        return torch.randn(sizes, generator=generator)
    if dtype == torch.bool:
        return torch.randint(0, 2, sizes, generator=generator).bool()
    least, end = (0, 256) if dtype == torch.uint8 else (-_END, _END)
    return torch.randint(least, end, sizes, generator=generator, dtype=dtype)
