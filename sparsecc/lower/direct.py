"""A convolution whose kernel and config are open: what the cost model thinks of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from sparsecc.analyse.layers import LayerPlan
from sparsecc.ir.blocks import BlockSparse, by_taps, reordered, to_blocks
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.graph import FusedConv
from sparsecc.ir.indices import OFFSET, IndexFormat
from sparsecc.ir.layer_key import Kind, LayerKey, Pattern, bucket
from sparsecc.ir.layout import LINE, PlaneLayout
from sparsecc.ir.tensor_type import HALF
from sparsecc.ir.winograd import summed_channels
from sparsecc.kernels.direct_shape import widens
from sparsecc.kernels.store import StoreShape
from sparsecc.lower.balance import balanced_order
from sparsecc.lower.config import ConvConfig
from sparsecc.lower.conv_space import conv_space
from sparsecc.lower.cost.channel_lanes import lane_config, predict_lanes
from sparsecc.lower.cost.decide import by_single_tap, dense_block_sizes
from sparsecc.lower.cost.direct import DirectWork, predict, sums_at_once
from sparsecc.lower.cost.direct_space import best_config
from sparsecc.lower.cost.prefetch import prefetch_distance
from sparsecc.target import Target


def predict_config(spec: ConvSpec, work: DirectWork, config: ConvConfig, target: Target) -> float:
    """Cycles that the cost model predicts for a convolution."""
    return config.by_kernel(
        lambda direct: predict(work, direct, target), lambda lanes: predict_lanes(spec, work, lanes, target)
    )


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
    summed : int
        Input channels that are summed by themselves; 0 for all in one sum.
    is_shared : bool
        Whether kernels for other shapes read the same weights.
    at_once : int
        Sums that the core adds to at a time, where small tiles have several sets; else 0.
    """

    operator: FusedConv
    store: StoreShape
    source: PlaneLayout
    target: Target
    blocks: BlockSparse | None
    index: IndexFormat
    works: Mapping[int, DirectWork]
    summed: int = 0
    at_once: int = 0
    is_shared: bool = False

    @property
    def spec(self) -> ConvSpec:
        """The convolution."""
        return self.operator.layer.spec

    @property
    def dtype(self) -> str:
        """Type of pixels and weights."""
        return self.operator.dtype

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

    def predict(self, config: ConvConfig) -> float:
        """Cycles that the cost model predicts."""
        return predict_config(self.spec, self.works[config.block_n], config, self.target)

    def _best(self, block_n: int) -> ConvConfig:
        work, target = self.works[block_n], self.target
        nbytes = 4 * self.spec.groups * work.nnzb * work.block_n * work.taps
        distance = prefetch_distance(nbytes, target, taps=work.taps)
        direct = ConvConfig(block_n, replace(best_config(work, target), prefetch=distance))
        kernel = None if work.joined or work.half else lane_config(self.spec, block_n=block_n, target=target)
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
    product = plan.tile is not None and blocks is not None
    half = operator.dtype == HALF
    works = direct_works(spec, blocks, store, source, joined=joined, by_tap=by_tap, product=product, half=half)
    summed = summed_channels(spec.ic_per_group) if plan.tile is not None and blocks is None else 0
    at_once = sums_at_once(target) if product else 0
    return DirectOptions(
        operator, store, source, target, blocks, index, works, summed, at_once, is_shared=plan.is_shared
    )


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
    product: bool = False,
    half: bool = False,
) -> dict[int, DirectWork]:
    """Output channels of a row of blocks -> the cost model's view; a dense layer (None) has a choice of rows."""

    def work(rows: int, block_n: int, nnzb: int) -> DirectWork:
        made = replace(_work(spec, rows, block_n, nnzb, store, source), joined=joined, product=product, half=half)
        return by_single_tap(made, spec, pitch=source.pitch) if by_tap else made

    if kept is not None:
        return {kept.block_n: work(kept.rows, kept.block_n, kept.nnzb)}
    rows = {n: spec.groups * -(-spec.oc_per_group // n) for n in dense_block_sizes(spec)}
    return {n: work(count, n, count * spec.ic_per_group) for n, count in rows.items()}


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
