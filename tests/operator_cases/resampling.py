"""Pixels at other places: grids that the network computes, resizing with many taps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, OperatorCase, function

GRID = (2, 5, 7, 2)


def _sample(mode: str, padding: str, aligned: bool) -> OperatorCase:
    def compute(x: Tensor, grid: Tensor) -> Tensor:
        # 1.3: some lie outside
        return F.grid_sample(x, 1.3 * grid.tanh(), mode, padding, align_corners=aligned)

    return function(f"grid_sample_{mode}_{padding}_{'aligned' if aligned else 'edges'}", compute, IMAGE, GRID)


def _far(x: Tensor, grid: Tensor) -> Tensor:
    """Places that are no numbers, or far away."""
    far = torch.tensor([float("inf"), -float("inf"), 1e30, -1e30, 2.0, -3.0, 1.0])[:, None]
    return F.grid_sample(x, grid * 0 + far, padding_mode="zeros", align_corners=False)


def _resize(name: str, **options: Any) -> OperatorCase:
    return function(f"resize_{name}", lambda x: F.interpolate(x, **options), IMAGE)


RESAMPLING = [
    *(
        _sample(mode, padding, (i + j) % 2 == 1)
        for i, mode in enumerate(("bilinear", "nearest", "bicubic"))
        for j, padding in enumerate(("zeros", "border", "reflection"))
    ),
    function("grid_sample_far", _far, IMAGE, GRID),
    function("grid_sample_constant", lambda x: F.grid_sample(x, torch.zeros(2, 3, 4, 2), align_corners=False), IMAGE),
    function(
        "grid_sample_volume",
        lambda x, grid: F.grid_sample(x, grid, align_corners=True),
        (1, 3, 4, 5, 6),
        (1, 2, 3, 4, 3),
    ),
    function(
        "affine_grid",
        lambda x, theta: F.grid_sample(x, F.affine_grid(theta, list(x.shape), False), align_corners=False),
        IMAGE,
        (2, 2, 3),
    ),
    _resize("cubic_smaller", size=(4, 5), mode="bicubic"),
    _resize("cubic_factor", scale_factor=(1.7, 0.6), mode="bicubic"),
    _resize("cubic_aligned", size=(13, 11), mode="bicubic", align_corners=True),
    _resize("cubic_antialias", size=(4, 5), mode="bicubic", antialias=True),
    _resize("antialias", size=(4, 5), mode="bilinear", antialias=True),
    _resize("antialias_larger", scale_factor=1.3, mode="bilinear", antialias=True),
    _resize("exact_factor", scale_factor=(1.7, 0.6), mode="nearest-exact"),
    function("resize_volume", lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), (1, 2, 3, 4, 5)),
    function("resize_volume_nearest", lambda x: F.interpolate(x, size=(5, 3, 7)), (1, 2, 3, 4, 5)),
]
