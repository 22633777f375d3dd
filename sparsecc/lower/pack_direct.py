"""A convolution's shape and constants, in the order that a config asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.blocks import dense_blocks
from sparsecc.ir.indices import without_steps
from sparsecc.ir.tensor_type import HALF
from sparsecc.kernels.direct import tiles_of
from sparsecc.kernels.direct_shape import DirectShape
from sparsecc.kernels.gather import floats_of
from sparsecc.kernels.half import HALF_ALONE, HALF_TERMS
from sparsecc.lower.config import ConvConfig
from sparsecc.lower.direct import DirectOptions
from sparsecc.lower.pack import Rows, in_chunks, pack_data, pack_places


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
    kernel = config.direct
    packed, chunks = kernel is not None and kernel.packed, 1 if kernel is None else kernel.chunks
    rows, index = in_chunks(blocks, chunks, relative=packed), options.index
    if index == "step" and kernel is not None and kernel.ahead:
        index = without_steps(columns=blocks.ic)
    scattered = not (blocks.is_aligned and blocks.rows * blocks.block_n == spec.oc)
    shape = DirectShape(
        spec=spec, source=source, store=options.store, rows=blocks.rows, block_n=blocks.block_n, nnzb=blocks.nnzb,
        uniform=rows.uniform, dense=dense, scattered=scattered, by_tap=options.by_tap,
        index=index, chunks=chunks, summed=options.summed, at_once=options.at_once, dtype=options.dtype,
        part=half_part(rows) if options.dtype == HALF else 0,
    )  # fmt: skip
    if kernel is not None and packed:
        shape = replace(shape, gathered=floats_of(tiles_of(shape, kernel)))
    together = blocks.block_n if kernel is None or options.is_shared else kernel.reg_n
    if kernel is not None and together != kernel.reg_n:
        shape = replace(shape, together=together)
    constants: dict[str, NDArray[Any]] = {
        "data": pack_data(rows, reg_n=together).astype(options.dtype, copy=False),
        **pack_places(rows, spec, source, index, gathered=shape.gathered, name=layer.name),
        "indptr": rows.indptr,
        "bias": layer.bias[blocks.oc_perm],
        "channels": blocks.oc_perm.astype(np.int32),
    }
    return Packed(shape, constants)


def half_part(rows: Rows) -> int:
    """Kept blocks of a row that are summed in half precision before float32 takes them; 0 for all that a row has."""
    taps, most = rows.data.shape[2], int(np.diff(rows.indptr).max(initial=0))
    return 0 if most * taps <= (HALF_ALONE if taps <= HALF_TERMS else HALF_TERMS) else max(1, HALF_TERMS // taps)
