"""Configs of the kernels that turn one plane into one plane, alone or after a convolution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sparsecc.kernels.chain import ChainConfig, ChainShape, bands_of
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.window_shape import UNROLLED_TAPS, WindowConfig, WindowShape
from sparsecc.spaces.config import ConvConfig, JoinedConfig
from sparsecc.target import Target

#: rows, and vectors side by side, of a tile: code size
_MOST_ROWS, _MOST_VECTORS = 8, 4
#: parts that an image may be cut into
_PARTS = (1, 2, 4, 8)
#: floats ahead of their use at which weights are asked for: a chain's weights are few
_PREFETCH = (0, 512)


def window_space(shape: WindowShape, target: Target) -> Iterator[WindowConfig]:
    """Every legal config: tiles of rows, or runs of pixels where the window is too large to unroll."""
    if shape.spec.taps > UNROLLED_TAPS:
        lanes = min(target.lanes, shape.store.flat)
        for vectors in range(1, min(_MOST_VECTORS, shape.store.flat // lanes) + 1):
            yield WindowConfig(lanes, vectors, rows=0)
        return
    for lanes in sorted({target.lanes, max(4, target.lanes // 2)}, reverse=True):
        for rows in range(1, min(shape.spec.oh, _MOST_ROWS) + 1):
            yield WindowConfig(lanes, 1, rows)


def joined_space(convs: Iterable[ConvConfig], shape: ChainShape, target: Target) -> Iterator[JoinedConfig]:
    """Every legal config of a convolution with those of its window kernel, and the parts of an image."""
    windows = [(window, bands_of(shape.window, window)) for window in window_space(shape.window, target)]
    for conv in convs:
        if not isinstance(conv.kernel, DirectConfig) or conv.kernel.prefetch not in _PREFETCH:
            continue
        for window, bands in windows:
            for parts in _PARTS:
                if bands % parts == 0:
                    yield JoinedConfig(conv.block_n, ChainConfig(conv.kernel, window, parts))
