"""Convolutions by the direct kernel: pack the weights, choose the config, schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.layers import LayerPlan
from sparsecc.cost.channel_lanes import lane_config, predict_lanes
from sparsecc.cost.decide import by_single_tap, dense_block_sizes
from sparsecc.cost.direct import DirectWork, predict
from sparsecc.cost.direct_space import best_config
from sparsecc.cost.prefetch import prefetch_distance
from sparsecc.facts.blocks import BlockSparse, by_taps, dense_blocks, reordered, to_blocks
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.graph import FusedConv
from sparsecc.facts.indices import OFFSET, IndexFormat, without_steps
from sparsecc.facts.layer_key import Kind, LayerKey, Pattern, bucket
from sparsecc.facts.layout import LINE, PlaneLayout
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.kernels.channel_lanes import LaneConfig, channel_lanes
from sparsecc.kernels.direct import tiles_of
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape, argument_names, widens
from sparsecc.kernels.gather import floats_of
from sparsecc.kernels.store import StoreShape
from sparsecc.rewrite.balance import balanced_order
from sparsecc.rewrite.choice import Choice, Choose, by_cost_model
from sparsecc.rewrite.lowered import Lowered
from sparsecc.rewrite.pack import in_chunks, pack_data, pack_places
from sparsecc.schedule.direct import schedule_direct
from sparsecc.spaces.config import Config, ConvConfig
from sparsecc.spaces.conv import conv_space
from sparsecc.target import Target

Arguments = dict[str, int | NDArray[Any]]


def lower_direct(
    node: PlacedNode,
    operator: FusedConv,
    placed: Placed,
    plan: LayerPlan,
    target: Target,
    choose: Choose = by_cost_model,
) -> Lowered:
    """Lower a convolution, sparse or dense as planned."""
    source = image(placed, node.inputs[0])
    store = store_shape(node, placed, operator.epilogue)
    options = direct_options(operator, plan, store, source, target)
    choice = Choice(options.key("conv"), options.default(), options.space, options.predict)
    chosen = choose(choice)
    config = chosen.config
    assert isinstance(config, ConvConfig), "a convolution's choice gives its config"
    packed = pack_direct(options, config)
    values: Arguments = {
        **packed.constants,
        "input": node.inputs[0],
        "mask": mask_of(store.layout),
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(packed.shape))
    shape, kernel, cycles = packed.shape, config.kernel, options.predict(config)
    if isinstance(kernel, LaneConfig):
        return Lowered(
            "channel_lanes", ("channel_lanes", shape, kernel), channel_lanes(shape, kernel), arguments, asdict(kernel),
            cycles, why=chosen.why, choice=chosen.choice,
        )  # fmt: skip
    return Lowered(
        "direct", ("direct", shape, kernel), schedule_direct(shape, kernel), arguments, asdict(kernel), cycles,
        why=chosen.why, choice=chosen.choice,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class DirectOptions:
    """A convolution whose kernel and config are open.

    Attributes
    ----------
    operator : FusedConv
    store : StoreShape
    source : PlaneLayout
    target : Target
    blocks : BlockSparse or None
        The kept blocks of a pruned layer; None for a dense one.
    index : str
        How the places of kept blocks are stored.
    works : mapping of int to DirectWork
        Output channels of a row of blocks -> what the cost model needs to know.
    """

    operator: FusedConv
    store: StoreShape
    source: PlaneLayout
    target: Target
    blocks: BlockSparse | None
    index: IndexFormat
    works: Mapping[int, DirectWork]

    @property
    def spec(self) -> ConvSpec:
        """The convolution."""
        return self.operator.layer.spec

    @property
    def by_tap(self) -> bool:
        """True when a kept block is one tap of a larger kernel."""
        return self.blocks is not None and self.blocks.taps < self.spec.taps

    @property
    def scattered(self) -> bool:
        """True when output channels of a row of blocks are looked up."""
        blocks = self.blocks
        return blocks is not None and not (blocks.is_aligned and blocks.rows * blocks.block_n == self.spec.oc)

    def key(
        self, kind: Kind, *, pitch: int | None = None, window: ConvSpec | None = None, combine: str = ""
    ) -> LayerKey:
        """What records call the layer; ``pitch`` of what is written, where it is not that of ``store``."""
        blocks, spec = self.blocks, self.spec
        pattern: Pattern = "dense" if blocks is None else "uniform" if blocks.is_uniform else "ragged"
        density = 100 if blocks is None else bucket(blocks.nnzb, blocks.rows * (blocks.ic // blocks.groups))
        return LayerKey(
            kind=kind, spec=spec, block_n=0 if blocks is None else blocks.block_n, density=density, pattern=pattern,
            scattered=self.scattered, epilogue=str(self.operator.epilogue),
            pitch=(self.source.pitch, self.store.layout.pitch if pitch is None else pitch), window=window,
            combine=combine, by_tap=self.by_tap, adds_residual=self.operator.epilogue.adds_residual,
        )  # fmt: skip

    def default(self) -> ConvConfig:
        """The cost model's choice."""
        return min((self._best(block_n) for block_n in self.works), key=self.predict)

    def space(self) -> tuple[ConvConfig, ...]:
        """Every legal config."""
        return tuple(dict.fromkeys((self.default(), *conv_space(self.spec, self.works, self.target))))

    def predict(self, config: Config) -> float:
        """Cycles that the cost model predicts."""
        assert isinstance(config, ConvConfig), "configs of a convolution"
        work, kernel = self.works[config.block_n], config.kernel
        if isinstance(kernel, LaneConfig):
            return predict_lanes(self.spec, work, kernel, self.target)
        return predict(work, kernel, self.target)

    def _best(self, block_n: int) -> ConvConfig:
        work, target = self.works[block_n], self.target
        nbytes = 4 * self.spec.groups * work.nnzb * work.block_n * work.taps
        distance = prefetch_distance(nbytes, target, taps=work.taps)
        direct = ConvConfig(block_n, replace(best_config(work, target), prefetch=distance))
        kernel = None if work.joined else lane_config(self.spec, block_n=block_n, target=target)
        if kernel is None:
            return direct
        lanes = ConvConfig(block_n, replace(kernel, prefetch=distance))
        return lanes if self.predict(lanes) < self.predict(direct) else direct


def direct_options(
    operator: FusedConv,
    plan: LayerPlan,
    store: StoreShape,
    source: PlaneLayout,
    target: Target,
    *,
    joined: bool = False,
) -> DirectOptions:
    """What is open for a convolution, ``joined`` to a window kernel or alone."""
    layer, spec = operator.layer, operator.layer.spec
    blocks, index = None, OFFSET
    if plan.computed is not None:
        weight = by_taps(layer.weight) if plan.computed.by_tap else layer.weight
        blocks = to_blocks(weight, groups=spec.groups, grouping=plan.computed.grouping)
        order = balanced_order(blocks.counts)
        blocks = blocks if order is None else reordered(blocks, order)
        index = plan.computed.index
    by_tap = blocks is not None and blocks.taps < spec.taps
    works = direct_works(spec, blocks, store, source, joined=joined, by_tap=by_tap)
    return DirectOptions(operator, store, source, target, blocks, index, works)


class Kept(Protocol):
    """What the cost model needs to know of a pruned weight: a ``BlockSparse`` has it, and so has a ``Structure``."""

    @property
    def rows(self) -> int:
        """Rows of blocks."""
        ...

    @property
    def block_n(self) -> int:
        """Output channels of a row."""
        ...

    @property
    def nnzb(self) -> int:
        """Kept blocks."""
        ...


def direct_works(
    spec: ConvSpec,
    kept: Kept | None,
    store: StoreShape,
    source: PlaneLayout,
    *,
    joined: bool = False,
    by_tap: bool = False,
) -> dict[int, DirectWork]:
    """Output channels of a row of blocks -> the cost model's view; a dense layer (None) has a choice of rows."""

    def work(rows: int, block_n: int, nnzb: int) -> DirectWork:
        made = replace(_work(spec, rows, block_n, nnzb, store, source), joined=joined)
        return by_single_tap(made, spec, pitch=source.pitch) if by_tap else made

    if kept is not None:
        return {kept.block_n: work(kept.rows, kept.block_n, kept.nnzb)}
    rows = {n: spec.groups * -(-spec.oc_per_group // n) for n in dense_block_sizes(spec)}
    return {n: work(count, n, count * spec.ic_per_group) for n, count in rows.items()}


@dataclass(frozen=True, eq=False)
class Packed:
    """A convolution's shape, and its constants in the order that a config asks for."""

    shape: DirectShape
    constants: dict[str, NDArray[Any]]


def pack_direct(options: DirectOptions, config: ConvConfig) -> Packed:
    """Pack the weights for a config."""
    spec, layer, source = options.spec, options.operator.layer, options.source
    dense = options.blocks is None
    blocks = options.blocks
    if blocks is None:
        blocks = dense_blocks(layer.weight, groups=spec.groups, block_n=config.block_n)
    kernel = config.kernel if isinstance(config.kernel, DirectConfig) else None
    packed, chunks = kernel is not None and kernel.packed, 1 if kernel is None else kernel.chunks
    rows, index = in_chunks(blocks, chunks, relative=packed), options.index
    if index == "step" and kernel is not None and kernel.ahead:
        index = without_steps(columns=blocks.ic)
    scattered = not (blocks.is_aligned and blocks.rows * blocks.block_n == spec.oc)
    shape = DirectShape(
        spec=spec, source=source, store=options.store, rows=blocks.rows, block_n=blocks.block_n, nnzb=blocks.nnzb,
        uniform=rows.uniform, dense=dense, scattered=scattered, by_tap=options.by_tap,
        index=index, chunks=chunks,
    )  # fmt: skip
    if kernel is not None and packed:
        shape = replace(shape, gathered=floats_of(tiles_of(shape, kernel)))
    together = blocks.block_n if kernel is None else kernel.reg_n
    constants: dict[str, NDArray[Any]] = {
        "data": pack_data(rows, reg_n=together),
        **pack_places(rows, spec, source, index, gathered=shape.gathered, name=layer.name),
        "indptr": rows.indptr,
        "bias": layer.bias[blocks.oc_perm],
        "channels": blocks.oc_perm.astype(np.int32),
    }
    return Packed(shape, constants)


def store_shape(node: PlacedNode, placed: Placed, epilogue: Any) -> StoreShape:
    """Where a flat kernel's results go."""
    images, channels = placed.shapes[node.output][:2]
    residual = placed.layouts[node.inputs[1]] if len(node.inputs) > 1 else None
    layout = image(placed, node.output)
    _, left, _, right = layout.halo
    return StoreShape(images, channels, layout, epilogue, residual, masked=max(left, right) > 0)


def mask_of(layout: PlaneLayout) -> NDArray[np.float32]:
    """1 at pixels, 0 in the gaps after them: ``(h * pitch,)``."""
    mask = np.zeros((layout.h, layout.pitch), np.float32)
    mask[:, : layout.w] = 1
    return mask.reshape(-1)


def image(placed: Placed, tensor: int) -> PlaneLayout:
    """Layout of a tensor that a flat kernel reads or writes."""
    layout = placed.layouts[tensor]
    assert layout is not None, "a flat kernel's tensors are images"
    return layout


def _work(spec: ConvSpec, rows: int, block_n: int, nnzb: int, store: StoreShape, source: PlaneLayout) -> DirectWork:
    # rows of a group read its channels only: to the caches a group is an image of its own
    flat = (spec.oh - 1) * source.pitch + spec.ow
    return DirectWork(
        images=spec.n * spec.groups, groups=spec.groups, flat=flat, plane=source.channel,
        ic=spec.ic_per_group, taps=spec.taps, kernel_width=spec.kw, rows=rows // spec.groups, block_n=block_n,
        nnzb=-(-nnzb // spec.groups),
        residual=store.residual is not None, staged=source.pitch != store.layout.pitch, widens=widens(source, store),
        repeats=rows * block_n != spec.oc, aligned=source.channel % LINE == 0, height=spec.oh,
    )  # fmt: skip
