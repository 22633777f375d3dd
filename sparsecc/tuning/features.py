"""Numbers that a config, its layer and its target are to the ranking model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.layer_key import LayerKey
from sparsecc.kernels.config import Config
from sparsecc.lower.choice import Choice
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
        rows.append([opinion, *(choice.numbers(config) if choice.numbers else ()), *layer])
    return np.array(rows, np.float32)


def _layer(key: LayerKey) -> list[float]:
    spec, kinds = key.spec, ("conv", "chain", "window", "linear", "generic", "qconv", "qdepthwise")
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
