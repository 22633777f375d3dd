"""Which algorithm computes a 3x3 convolution of stride 1, dense or sparse: a choice as those of configs are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer_key import LayerKey
from sparsecc.kernels.config import Config
from sparsecc.lower.choice import Choice
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.lower.join import with_blocks


def algorithm_choice(
    spec: ConvSpec,
    blocks: Structure | None,
    default: AlgorithmConfig,
    legal: Sequence[AlgorithmConfig],
    predict: Callable[[AlgorithmConfig], float],
) -> Choice:
    """The question for a layer.

    Parameters
    ----------
    spec : ConvSpec
    blocks : Structure or None
        Rows of blocks that may be computed; None where the layer is dense whatever is chosen.
    default : AlgorithmConfig
        The cost model's.
    legal : sequence of AlgorithmConfig
        The default among them.
    predict : callable
        Cycles.
    """
    space = tuple(dict.fromkeys((default, *legal)))
    return Choice(_key(spec, blocks), default, lambda: space, lambda config: predict(algorithm_of(config)))


def algorithm_of(config: Config) -> AlgorithmConfig:
    """A config out of the space of an algorithm's choice."""
    assert isinstance(config, AlgorithmConfig), "one of the legal ones"
    return config


def _key(spec: ConvSpec, blocks: Structure | None) -> LayerKey:
    dense = LayerKey(
        kind="algorithm", spec=spec, block_n=0, density=100, pattern="dense", scattered=False, epilogue="", pitch=(0, 0)
    )
    # rows of channels from anywhere become neighbours later on, or cost no time
    return dense if blocks is None else replace(with_blocks(dense, blocks), scattered=False)
