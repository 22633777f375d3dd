"""Convolutions by the direct kernel: pack the weights, choose the config, schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.layers import LayerPlan
from sparsecc.cost.channel_lanes import lane_config, predict_lanes
from sparsecc.cost.decide import dense_block_sizes, dense_work, least_cycles
from sparsecc.cost.direct import DirectWork, best_config, predict
from sparsecc.cost.prefetch import prefetch_distance
from sparsecc.errors import NotSupportedError
from sparsecc.facts.blocks import BlockSparse, dense_blocks, reordered, to_blocks
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.graph import FusedConv
from sparsecc.facts.layout import PlaneLayout
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.kernels.channel_lanes import LaneConfig, channel_lanes
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape, argument_names
from sparsecc.kernels.store import StoreShape
from sparsecc.rewrite.balance import balanced_order
from sparsecc.rewrite.lowered import Lowered
from sparsecc.schedule.direct import schedule_direct
from sparsecc.target import Target

Arguments = dict[str, int | NDArray[Any]]
#: gives a layer's config in the place of the cost model, and so its kernel
Choose = Callable[[DirectWork, Target], DirectConfig | LaneConfig]


def lower_direct(
    node: PlacedNode,
    operator: FusedConv,
    placed: Placed,
    plan: LayerPlan,
    target: Target,
    choose: Choose | None = None,
) -> Lowered:
    """Lower a convolution, sparse or dense as planned."""
    source = image(placed, node.inputs[0])
    store = store_shape(node, placed, operator.epilogue)
    chosen = choose_direct(operator, plan, store, source, target, choose=choose)
    values: Arguments = {
        **chosen.constants,
        "input": node.inputs[0],
        "mask": mask_of(store.layout),
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(chosen.shape))
    shape, lanes = chosen.shape, chosen.lanes
    if lanes is not None:
        function, knobs = channel_lanes(shape, lanes), asdict(lanes)
        return Lowered("channel_lanes", ("channel_lanes", shape, lanes), function, arguments, knobs, chosen.cycles)
    function, knobs = schedule_direct(shape, chosen.config), asdict(chosen.config)
    return Lowered("direct", ("direct", shape, chosen.config), function, arguments, knobs, chosen.cycles)


@dataclass(frozen=True, eq=False)
class Chosen:
    """A kernel for a layer: its shape, config and packed constants, and the predicted cycles.

    ``lanes`` is None where pixels are the vector, else the config of the kernel with channels as the vector.
    """

    shape: DirectShape
    config: DirectConfig
    constants: dict[str, NDArray[Any]]
    cycles: float
    lanes: LaneConfig | None = None


def choose_direct(
    operator: FusedConv,
    plan: LayerPlan,
    store: StoreShape,
    source: PlaneLayout,
    target: Target,
    *,
    joined: bool = False,
    choose: Choose | None = None,
) -> Chosen:
    """Choose the config and pack the weights for it; ``joined`` to a window kernel or alone."""
    spec = operator.layer.spec
    blocks, dense = _blocks(operator, plan, target)
    work = replace(_work(spec, blocks, store, source), joined=joined)
    config, lanes = _configs(spec, work, target, choose)
    distance = prefetch_distance(blocks.data.nbytes, target)
    config, lanes = replace(config, prefetch=distance), lanes and replace(lanes, prefetch=distance)
    counts = blocks.counts
    uniform = int(counts[0]) if blocks.is_uniform and counts.size and counts[0] > 0 else None
    plain_order = blocks.is_aligned and blocks.rows * blocks.block_n == spec.oc
    shape = DirectShape(
        spec=spec, source=source, store=store, rows=blocks.rows, block_n=blocks.block_n, nnzb=blocks.nnzb,
        uniform=uniform, dense=dense, scattered=not plain_order,
    )  # fmt: skip
    constants: dict[str, NDArray[Any]] = {
        "data": pack_data(blocks, reg_n=config.reg_n if lanes is None else blocks.block_n),
        "offsets": at_least_one(_offsets(blocks, source, operator.layer.name)),
        "indptr": blocks.indptr.astype(np.int32),
        "bias": operator.layer.bias[blocks.oc_perm],
        "channels": blocks.oc_perm.astype(np.int32),
    }
    cycles = predict(work, config, target) if lanes is None else predict_lanes(spec, work, lanes, target)
    return Chosen(shape, config, constants, cycles, lanes)


def _configs(
    spec: ConvSpec, work: DirectWork, target: Target, choose: Choose | None
) -> tuple[DirectConfig, LaneConfig | None]:
    """The direct kernel's config, and that of the kernel with channels as the vector where that is the one to use."""
    if choose is not None:
        chosen = choose(work, target)
        return (best_config(work, target), chosen) if isinstance(chosen, LaneConfig) else (chosen, None)
    config = best_config(work, target)
    lanes = None if work.joined else lane_config(spec, block_n=work.block_n, target=target)
    slower = lanes is None or predict_lanes(spec, work, lanes, target) >= predict(work, config, target)
    return config, None if slower else lanes


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


def _blocks(operator: FusedConv, plan: LayerPlan, target: Target) -> tuple[BlockSparse, bool]:
    """The layer's blocks, and whether they are all of them."""
    layer, spec = operator.layer, operator.layer.spec
    if plan.decision == "sparse" and plan.structure is not None:
        blocks = to_blocks(layer.weight, groups=spec.groups, grouping=plan.structure.grouping)
        order = balanced_order(blocks.counts)
        return blocks if order is None else reordered(blocks, order), False

    def cycles(block_n: int) -> float:
        return least_cycles(spec, dense_work(spec, block_n=block_n), target)

    return dense_blocks(layer.weight, groups=spec.groups, block_n=min(dense_block_sizes(spec), key=cycles)), True


def _work(spec: ConvSpec, blocks: BlockSparse, store: StoreShape, source: PlaneLayout) -> DirectWork:
    # rows of a group read its channels only: to the caches a group is an image of its own
    flat = (spec.oh - 1) * source.pitch + spec.ow
    return DirectWork(
        images=spec.n * spec.groups, flat=flat, plane=source.channel, ic=spec.ic_per_group, taps=spec.taps,
        kernel_width=spec.kw, rows=blocks.rows // spec.groups, block_n=blocks.block_n,
        nnzb=-(-blocks.nnzb // spec.groups), residual=store.residual is not None,
        staged=source.pitch != store.layout.pitch,
    )  # fmt: skip


def pack_data(blocks: BlockSparse, *, reg_n: int) -> NDArray[np.float32]:
    """Weights in the direct kernel's order: ``[row][block_n / reg_n][kept block][tap][reg_n]``, flat."""
    subs, taps = blocks.block_n // reg_n, blocks.taps
    counts = np.diff(blocks.indptr)
    row = np.repeat(np.arange(blocks.rows), counts)
    within = np.arange(blocks.nnzb) - blocks.indptr[row]
    place = blocks.indptr[row][:, None] * subs + np.arange(subs) * counts[row][:, None] + within[:, None]
    packed = np.zeros((max(1, blocks.nnzb * subs), taps, reg_n), np.float32)
    packed[place] = blocks.data.reshape(blocks.nnzb, subs, reg_n, taps).transpose(0, 1, 3, 2)
    return packed.reshape(-1)


def _offsets(blocks: BlockSparse, source: PlaneLayout, name: str) -> NDArray[np.int32]:
    offsets = blocks.indices.astype(np.int64) * source.channel
    if offsets.size and offsets.max() > np.iinfo(np.int32).max:
        raise NotSupportedError(f"layer {name}: its input has more than 2**31 floats, use a smaller batch")
    return offsets.astype(np.int32)


def at_least_one(array: NDArray[Any]) -> NDArray[Any]:
    """C has no empty arrays."""
    return array if array.size else np.zeros(1, array.dtype)
