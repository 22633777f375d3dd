"""The layers whose kernels are timed for a fit, and their configs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sparsecc._tvm import IRModule
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.structure import find_structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.graph import FusedConv, Graph, Node
from sparsecc.ir.layer import ConvLayer
from sparsecc.lower.choice import Choice, Chosen, by_cost_model
from sparsecc.lower.config import ConvConfig
from sparsecc.lower.conv import opened
from sparsecc.lower.cost.direct import CROWDED, DirectWork, predict
from sparsecc.lower.cost.direct_space import direct_space
from sparsecc.lower.cost.prefetch import prefetch_distance
from sparsecc.lower.site import Site
from sparsecc.lower.table import lower
from sparsecc.rewrite.layout import place
from sparsecc.target import Target
from sparsecc.tuning.tasks import Candidate, KernelTask

#: channels in, channels out, kernel, pixels of a side, N (1 for a dense layer), kept blocks of a hundred. Small, so
#: that hundreds are timed in seconds; of all sorts, so that every constant decides somewhere; mixed, so that a part
#: will do
LAYERS: tuple[tuple[int, int, int, int, int, int], ...] = (
    (128, 128, 1, 28, 4, 25), (64, 64, 3, 28, 16, 25), (512, 256, 1, 14, 1, 100), (256, 256, 1, 14, 16, 10),
    (64, 64, 3, 14, 4, 50), (64, 64, 1, 56, 16, 50), (512, 512, 1, 7, 4, 25), (128, 128, 3, 7, 1, 100),
    (32, 64, 1, 56, 1, 100), (192, 96, 1, 28, 8, 25), (128, 64, 3, 14, 16, 10), (1024, 256, 1, 14, 4, 10),
    (96, 96, 1, 19, 16, 25), (48, 48, 3, 38, 4, 25), (256, 512, 1, 10, 16, 50), (64, 128, 1, 40, 4, 10),
    (32, 32, 3, 56, 1, 100), (320, 320, 1, 8, 8, 50), (160, 160, 3, 9, 8, 25), (512, 128, 1, 20, 16, 25),
    (24, 144, 1, 56, 4, 50), (640, 160, 1, 7, 16, 100), (96, 64, 3, 20, 4, 10), (64, 256, 1, 28, 1, 100),
    (384, 64, 1, 14, 8, 25), (40, 80, 3, 24, 8, 50), (128, 256, 1, 17, 4, 50), (768, 384, 1, 7, 4, 10),
    (16, 96, 1, 80, 16, 50), (256, 64, 1, 56, 4, 25), (80, 80, 3, 13, 1, 100), (144, 48, 1, 48, 8, 10),
    (8, 256, 1, 36, 16, 50), (48, 48, 5, 14, 8, 25), (32, 512, 1, 16, 1, 100), (24, 32, 5, 28, 1, 100),
)  # fmt: skip
#: the layer by which it is decided whether kernels with several taps gain from asking for weights ahead of their use
PREFETCHED = (512, 512, 3, 7, 4, 50)
#: configs of a layer in the first place, of those that are not hopeless: the best of each kind by the constants that a
#: search begins with, and some by chance
_BY_CHANCE, _HOPELESS = 3, 2.5
_READER_CHANNELS, _READER_TAPS = 8, 3


@dataclass(frozen=True, eq=False)
class Sample:
    """A convolution with one of its configs left to choose.

    Attributes
    ----------
    task : KernelTask
    works : mapping of int to DirectWork
        N -> what the cost model knows of it.
    """

    task: KernelTask
    works: dict[int, DirectWork]

    @cached_property
    def space(self) -> tuple[ConvConfig, ...]:
        """Every config of the direct kernel."""
        target = self.task.target
        return tuple(ConvConfig(n, config) for n, work in self.works.items() for config in direct_space(work, target))

    def candidate(self, config: ConvConfig) -> Candidate:
        """What a config makes of it; large weights are asked for ahead, as they would be."""
        direct = config.direct
        assert direct is not None, "configs of the direct kernel"
        work, target = self.works[config.block_n], self.task.target
        nbytes = 4 * work.nnzb * work.block_n * work.taps
        distance = direct.prefetch or prefetch_distance(nbytes, target, taps=work.taps)
        return self.task.candidate(replace(config, kernel=replace(direct, prefetch=distance)))

    def cycles(self, config: ConvConfig, target: Target) -> float:
        """What the cost model predicts for a target that differs in its core's constants."""
        assert config.direct is not None, "configs of the direct kernel"
        return predict(self.works[config.block_n], config.direct, target)

    def first(self, *, seed: int) -> list[ConvConfig]:
        """Configs to begin with."""
        predicted = {config: self.cycles(config, self.task.target) for config in self.space}
        ranked = sorted(predicted, key=predicted.__getitem__)
        near = [config for config in ranked if predicted[config] <= _HOPELESS * predicted[ranked[0]]]
        kinds = {self._kind(config): config for config in reversed(near)}
        chance = random.Random(seed).sample(near, min(_BY_CHANCE, len(near)))
        return list(dict.fromkeys((*kinds.values(), *chance)))

    def promising(self, target: Target) -> list[ConvConfig]:
        """The best config by other constants, and the best of another kind."""
        ranked = sorted(self.space, key=lambda config: self.cycles(config, target))
        other = next((config for config in ranked if self._kind(config) != self._kind(ranked[0])), ranked[-1])
        return [ranked[0], other]

    def _kind(self, config: ConvConfig) -> tuple[bool, bool, bool, bool]:
        """Order of the loops, copied pixels, runs of channels, many registers: constants differ most between these."""
        kernel = config.direct
        assert kernel is not None, "configs of the direct kernel"
        crowded = kernel.reg_n * kernel.vectors > CROWDED * self.task.target.registers
        return kernel.rows_outer, kernel.packed, kernel.chunks > 1, crowded


def samples(layers: Sequence[tuple[int, int, int, int, int, int]], target: Target) -> Iterator[Sample]:
    """The layers as kernels for a target."""
    for number, layer in enumerate(layers):
        yield _sample(number, *layer, target=target)


def _sample(seed: int, ic: int, oc: int, kernel: int, size: int, n: int, kept: int, *, target: Target) -> Sample:
    spec = ConvSpec(1, ic, size, size, oc, kernel, kernel, padding=(kernel // 2,) * 4)
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal(spec.weight_shape).astype(np.float32) / np.float32(np.sqrt(ic * spec.taps))
    mask = rng.random((oc // n, ic)) < kept / 100
    weight *= mask.repeat(n, axis=0)[:, :, None, None]
    layer = ConvLayer("layer", "layer", spec, weight, rng.standard_normal(oc).astype(np.float32))
    structure = find_structure(weight, max_n=n)
    plan = LayerPlan("layer", "layer", "conv", spec, structure, "dense" if n == 1 else "sparse", "for its time")
    placed = place(_graph(layer))
    node = next(node for node in placed.nodes if node.key == "layer")
    plans, module = {"layer": plan}, IRModule({})
    options = opened(Site(node, placed, module, plans, target))
    choices: list[Choice] = []

    def spy(choice: Choice) -> Chosen:
        choices.append(choice)
        return by_cost_model(choice)

    lower(node, placed, module, plans, target, spy)
    task = KernelTask(choices[0], ("layer",), target, node, placed, module, plans)
    return Sample(task, dict(options.works))


def _graph(layer: ConvLayer) -> Graph:
    """The layer and one that reads its result, with padding: what is written is laid out as in a network."""
    spec = layer.spec
    taps = _READER_TAPS if spec.taps > 1 else 1
    reader_spec = ConvSpec(1, spec.oc, spec.oh, spec.ow, _READER_CHANNELS, taps, taps, padding=(taps // 2,) * 4)
    reader = ConvLayer(
        "reader", "reader", reader_spec, np.zeros(reader_spec.weight_shape, np.float32),
        np.zeros(_READER_CHANNELS, np.float32),
    )  # fmt: skip
    shapes = ((1, spec.ic, spec.ih, spec.iw), (1, spec.oc, spec.oh, spec.ow), (1, _READER_CHANNELS, spec.oh, spec.ow))
    nodes = (
        Node("layer", FusedConv(layer, Epilogue()), (0,), 1),
        Node("reader", FusedConv(reader, Epilogue()), (1,), 2),
    )
    return Graph(shapes, nodes, (0,), (2,))
