"""Numbers that a config, its layer and its target are to the ranking model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparsecc.facts.layer_key import LayerKey
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.linear import LinearConfig
from sparsecc.kernels.window_shape import WindowConfig
from sparsecc.rewrite.choice import Choice
from sparsecc.spaces.config import Config, ConvConfig, JoinedConfig, TraceConfig
from sparsecc.target import Target

_NONE = -1.0


def features(choice: Choice, target: Target, configs: Sequence[Config]) -> NDArray[np.float32]:
    """One row a config: knobs, what they make of the layer, the cost model's opinion, the layer, the target."""
    layer = [*_layer(choice.key), *_target(target)]
    best = choice.predict(choice.default)
    rows = []
    for config in configs:
        predicted = choice.predict(config)
        opinion = math.log(predicted / best) if predicted and best else _NONE
        rows.append([opinion, *_config(config, choice.key, target), *layer])
    return np.array(rows, np.float32)


def _config(config: Config, key: LayerKey, target: Target) -> list[float]:
    if isinstance(config, ConvConfig):
        kernel = config.kernel
        own = _direct(kernel, key, target) if isinstance(kernel, DirectConfig) else _lanes(kernel, key)
        return [config.block_n, *own, *_window(None), _NONE]
    if isinstance(config, JoinedConfig):
        chain = config.chain
        return [config.block_n, *_direct(chain.conv, key, target), *_window(chain.window), chain.parts]
    if isinstance(config, WindowConfig):
        return [_NONE, *_DIRECT_NONE, *_window(config), _NONE]
    if isinstance(config, TraceConfig):  # nothing is known of a trace but its length: they are few
        return [len(config.trace), *_DIRECT_NONE, *_window(None), _NONE]
    assert isinstance(config, LinearConfig), "the last kind"
    return [_NONE, config.lanes, config.reg_m, *_DIRECT_NONE[2:], *_window(None), _NONE]


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
        c.lanes,
        c.rows,
        c.cols,
        1.0,
        0.0,
        math.log2(c.prefetch + 1),
        0.0,
        c.pixels,
        0.0,
        rows,
        0.0,
        1.0,
        0.0,
        0.0,
        0.0,
    ]


def _window(c: WindowConfig | None) -> list[float]:
    return [_NONE] * 3 if c is None else [c.lanes, c.vectors, c.rows]


def _layer(key: LayerKey) -> list[float]:
    spec, kinds = key.spec, ("conv", "chain", "window", "linear", "generic")
    numbers = (spec.ic, spec.oc, spec.oh * spec.ow, spec.ow, key.pitch[0])
    return [
        kinds.index(key.kind), *(math.log2(n) for n in numbers), spec.taps, spec.stride[0], math.log2(spec.groups),
        key.block_n, key.density, key.pattern == "uniform", key.adds_residual, key.pitch[0] != key.pitch[1],
    ]  # fmt: skip


def _target(target: Target) -> list[float]:
    return [
        target.lanes, target.registers, target.fma_per_cycle, target.loads_per_cycle, math.log2(target.l1_bytes),
        math.log2(target.l2_bytes),
    ]  # fmt: skip
