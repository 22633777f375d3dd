"""A tile of the direct kernel: where it lies, where its results go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.gather import Gathered
from sparsecc.kernels.store import StoreShape
from sparsecc.kernels.walk import Walk


@dataclass(frozen=True)
class At:
    """The iteration that a tile belongs to: image, row of blocks, part of its channels, run of inputs, first pixel."""

    image: Any
    row: Any
    sub: Any
    chunk: Any = 0
    start: Any = 0


@dataclass(frozen=True)
class Sink:
    """Where results go: a buffer, how its planes lie, and the number of the plane of each channel ``n`` at a tile."""

    buffer: Any
    store: StoreShape
    plane: Callable[[At, Any], Any]

    def place(self, at: At, channel: Any, pixel: Any) -> Any:
        """Float of a pixel of a channel in registers."""
        return self.plane(at, channel) * self.store.layout.channel + self.store.layout.lead + pixel


@dataclass(frozen=True)
class Tile:
    """What the code of a tile is made from."""

    shape: DirectShape
    config: DirectConfig
    buffers: dict[str, Any]
    at: At
    sink: Sink
    walk: Walk
    gathered: Gathered | None = None

    @property
    def slot(self) -> Any:
        """Place of the first channel in registers among those of all rows."""
        return self.at.row * self.shape.block_n + self.at.sub * self.config.reg_n
