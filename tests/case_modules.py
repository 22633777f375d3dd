"""The cases of ``cases.py`` as torch modules: several convolutions side by side, each with an input of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from cases import Case, build
from torch import nn


class CaseConv(nn.Module):
    """One case: padding, which may differ from side to side, and a convolution."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        arrays = build(case)
        self.spec = case.spec
        self.weight = nn.Parameter(torch.tensor(np.array(arrays.weight)))
        self.bias = None if arrays.bias is None else nn.Parameter(torch.tensor(np.array(arrays.bias)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve."""
        spec = self.spec
        top, left, bottom, right = spec.padding
        padded = F.pad(x, (left, right, top, bottom)) if any(spec.padding) else x
        return F.conv2d(padded, self.weight, self.bias, spec.stride, 0, spec.dilation, spec.groups)


class SideBySide(nn.Module):
    """Several cases in one network, so that they are compiled and linked at once."""

    def __init__(self, cases: Sequence[Case]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(CaseConv(case) for case in cases)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run each on its input."""
        return tuple(conv(x) for conv, x in zip(self.convs, inputs, strict=True))


def inputs_of(cases: Sequence[Case]) -> tuple[torch.Tensor, ...]:
    """The cases' inputs."""
    return tuple(torch.tensor(np.array(build(case).x)) for case in cases)
