"""What configs are to the ranking model of a search: as many numbers for each kind, in the same places."""

from __future__ import annotations

import math

from sparsecc.ir.layer_key import LayerKey
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.int8.depthwise import QuantWindow
from sparsecc.kernels.int8.shape import QuantLanes, QuantPixels
from sparsecc.kernels.linear import LinearConfig
from sparsecc.kernels.window_shape import WindowConfig
from sparsecc.lower.config import ConvConfig, JoinedConfig, TraceConfig
from sparsecc.target import Target

_NONE = -1.0


def conv_numbers(config: ConvConfig, key: LayerKey, target: Target) -> list[float]:
    """Numbers of a convolution's config."""
    own = config.by_kernel(lambda direct: _direct(direct, key, target), lambda lanes: _lanes(lanes, key))
    return [config.block_n, *own, *_window(None), _NONE]


def chain_numbers(config: JoinedConfig, key: LayerKey, target: Target) -> list[float]:
    """Numbers of a chain's."""
    chain = config.chain
    return [config.block_n, *_direct(chain.conv, key, target), *_window(chain.window), chain.parts]


def window_numbers(config: WindowConfig, key: LayerKey, target: Target) -> list[float]:
    """Numbers of a window kernel's."""
    return [_NONE, *_DIRECT_NONE, *_window(config), _NONE]


def trace_numbers(config: TraceConfig, key: LayerKey, target: Target) -> list[float]:
    """Nothing is known of a trace but its length: they are few."""
    return [len(config.trace), *_DIRECT_NONE, *_window(None), _NONE]


def linear_numbers(config: LinearConfig, key: LayerKey, target: Target) -> list[float]:
    """Numbers of a linear layer's."""
    return [_NONE, config.lanes, config.reg_m, *_DIRECT_NONE[2:], *_window(None), _NONE]


def quant_numbers(config: QuantLanes | QuantPixels, key: LayerKey, target: Target) -> list[float]:
    """Numbers of a layer's of 8-bit integers."""
    own = config.by_kernel(
        lambda lanes: [lanes.vectors, lanes.rows, lanes.cols, 1.0, lanes.band],
        lambda pixels: [pixels.reg_n, pixels.vectors, _NONE, 0.0, pixels.band],
    )
    return [config.block_n, *own, *_DIRECT_NONE[5:], *_window(None), _NONE]


def quant_window_numbers(config: QuantWindow, key: LayerKey, target: Target) -> list[float]:
    """Numbers of a depthwise layer's of 8-bit integers."""
    return [_NONE, *_DIRECT_NONE, _NONE, _NONE, config.rows, _NONE]


_DIRECT_NONE = [_NONE] * 15


def _direct(c: DirectConfig, key: LayerKey, target: Target) -> list[float]:
    pitch = key.pitch[0]
    flat = (key.spec.oh - 1) * pitch + key.spec.ow
    tiles = -(-flat // c.tile)
    accumulators = c.vectors * c.reg_n
    return [
        c.lanes, c.vectors, c.reg_n, c.rows_outer, c.unroll_taps, math.log2(c.prefetch + 1), c.singles,
        accumulators / target.registers, accumulators / (c.vectors + c.reg_n), tiles * c.tile / flat,
        accumulators * key.spec.taps, 0.0, math.log2(c.chunks), c.ahead, c.packed,
    ]  # fmt: skip


def _lanes(c: LaneConfig, key: LayerKey) -> list[float]:
    rows = -(-key.spec.oh // c.rows) * c.rows / key.spec.oh
    return [
        c.lanes, c.rows, c.cols, 1.0, 0.0, math.log2(c.prefetch + 1), 0.0, c.pixels, 0.0, rows, 0.0, 1.0, 0.0, 0.0,
        0.0,
    ]  # fmt: skip


def _window(c: WindowConfig | None) -> list[float]:
    return [_NONE] * 3 if c is None else [c.lanes, c.vectors, c.rows]
