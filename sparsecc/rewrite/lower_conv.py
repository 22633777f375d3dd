"""Convolutions by the direct kernel: pack the weights, choose the config, schedule."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.layers import LayerPlan
from sparsecc.cost.decide import dense_block_sizes, dense_work
from sparsecc.cost.direct import DirectWork, best_config, predict
from sparsecc.errors import NotSupportedError
from sparsecc.facts.blocks import BlockSparse, dense_blocks, to_blocks
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.graph import FusedConv
from sparsecc.facts.layout import PlaneLayout
from sparsecc.facts.placed import Placed, PlacedNode
from sparsecc.kernels import direct as direct_kernel
from sparsecc.kernels.direct import DirectShape
from sparsecc.kernels.store import StoreShape
from sparsecc.rewrite.lowered import Lowered
from sparsecc.schedule.direct import schedule_direct
from sparsecc.target import Target

Arguments = dict[str, int | NDArray[Any]]


def lower_direct(node: PlacedNode, operator: FusedConv, placed: Placed, plan: LayerPlan, target: Target) -> Lowered:
    """Lower a convolution, sparse or dense as planned."""
    spec, source = operator.layer.spec, image(placed, node.inputs[0])
    store = store_shape(node, placed, operator.epilogue)
    blocks, dense = _blocks(operator, plan, store, source, target)
    work = _work(spec, blocks, store, source)
    config = best_config(work, target)
    counts = blocks.counts
    uniform = int(counts[0]) if blocks.is_uniform and counts.size and counts[0] > 0 else None
    plain_order = blocks.is_aligned and blocks.rows * blocks.block_n == spec.oc
    shape = DirectShape(
        spec=spec, source=source, store=store, rows=blocks.rows, block_n=blocks.block_n, nnzb=blocks.nnzb,
        uniform=uniform, dense=dense, scattered=not plain_order,
    )  # fmt: skip
    values: Arguments = {
        "input": node.inputs[0],
        "data": pack_data(blocks, reg_n=config.reg_n),
        "offsets": at_least_one(_offsets(blocks, source, operator.layer.name)),
        "indptr": blocks.indptr.astype(np.int32),
        "bias": operator.layer.bias[blocks.oc_perm],
        "channels": blocks.oc_perm.astype(np.int32),
        "mask": mask_of(store.layout),
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in direct_kernel.argument_names(shape))
    identity = ("direct", shape, config)
    cycles = predict(work, config, target)
    return Lowered("direct", identity, schedule_direct(shape, config), arguments, asdict(config), cycles)


def store_shape(node: PlacedNode, placed: Placed, epilogue: Any) -> StoreShape:
    """Where a flat kernel's results go."""
    images, channels = placed.shapes[node.output][:2]
    residual = placed.layouts[node.inputs[1]] if len(node.inputs) > 1 else None
    layout = image(placed, node.output)
    _, left, _, right = layout.halo
    return StoreShape(images, channels, layout, epilogue, residual, masked=max(left, right) > 0)


def mask_of(layout: PlaneLayout) -> NDArray[np.float32]:
    """1 at pixels, 0 in the gaps between rows, from the first pixel to the last."""
    mask = np.zeros((layout.h, layout.pitch), np.float32)
    mask[:, : layout.w] = 1
    return mask.reshape(-1)[: (layout.h - 1) * layout.pitch + layout.w]


def image(placed: Placed, tensor: int) -> PlaneLayout:
    """Layout of a tensor that a flat kernel reads or writes."""
    layout = placed.layouts[tensor]
    assert layout is not None, "a flat kernel's tensors are images"
    return layout


def _blocks(
    operator: FusedConv, plan: LayerPlan, store: StoreShape, source: PlaneLayout, target: Target
) -> tuple[BlockSparse, bool]:
    """The layer's blocks, and whether they are all of them."""
    layer, spec = operator.layer, operator.layer.spec
    if plan.decision == "sparse" and plan.structure is not None:
        return to_blocks(layer.weight, groups=spec.groups, grouping=plan.structure.grouping), False

    def cycles(block_n: int) -> float:
        work = dense_work(spec, block_n=block_n)
        return predict(work, best_config(work, target), target)

    return dense_blocks(layer.weight, groups=spec.groups, block_n=min(dense_block_sizes(spec), key=cycles)), True


def _work(spec: ConvSpec, blocks: BlockSparse, store: StoreShape, source: PlaneLayout) -> DirectWork:
    return DirectWork(
        images=spec.n, flat=store.flat, plane=source.channel, ic=spec.ic, taps=spec.taps, kernel_width=spec.kw,
        rows=blocks.rows, block_n=blocks.block_n, nnzb=blocks.nnzb,
        residual=store.residual is not None,
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
