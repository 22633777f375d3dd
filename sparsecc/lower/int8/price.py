"""What a layer of codes takes by itself, dense or with some blocks: before anything is known of its tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout, compact
from sparsecc.ir.quantized import Quantization
from sparsecc.kernels.int8.shape import OVERREAD, QuantShape, Result
from sparsecc.lower.cost.int8 import predict_lanes, predict_pixels
from sparsecc.lower.int8.options import dense_block_sizes, dense_shape, instructions_of
from sparsecc.lower.int8.space import space_of
from sparsecc.target import Target

#: any: the kernels take the same time whatever codes stand for
_CODES = Quantization(1.0, 0, "uint8")


def coded_cycles(spec: ConvSpec, structure: Structure | None, target: Target) -> float:
    """Predicted cycles of a convolution or linear layer of codes with its best kernel and config.

    ``structure`` is None for a dense layer. Blocks of one tap are computed with all others of their kernel: each counts
    as a kernel.
    """
    shapes = _dense(spec, target) if structure is None else iter((_sparse(spec, structure, target),))
    return min(
        config.by_kernel(partial(predict_lanes, shape), partial(predict_pixels, shape))
        for shape in shapes
        for config in space_of(shape, target)
    )


def _dense(spec: ConvSpec, target: Target) -> Iterator[QuantShape]:
    plain = coded_shape(spec, target)
    return (dense_shape(plain, block_n) for block_n in dense_block_sizes(spec, plain.instructions))


def _sparse(spec: ConvSpec, structure: Structure, target: Target) -> QuantShape:
    plain = coded_shape(spec, target)
    size, rows = plain.instructions.group, structure.rows
    kept = min(structure.nnzb, rows * spec.ic_per_group)
    most = min(int(structure.counts[-1]), spec.ic_per_group)
    uniform = -(-most // size) if structure.uniform and most else None
    # the last group of a row is filled up: by half of the places that it may lack, if rows differ
    count = rows * uniform if uniform is not None else min(round(kept / size + rows * (size - 1) / (2 * size)), kept)
    return replace(
        plain, rows=rows, block_n=structure.block_n, count=count, most=-(-most // size), uniform=uniform, dense=False,
        scattered=not (structure.aligned and rows * structure.block_n == spec.oc),
    )  # fmt: skip


def coded_shape(spec: ConvSpec, target: Target) -> QuantShape:
    """A layer whose images lie without gaps, with room after them."""
    source, result = _layout(spec.ih, spec.iw), Result(_layout(spec.oh, spec.ow), _CODES, *_CODES.bounds)
    return QuantShape(spec, source, _CODES, result, instructions_of(target), 1, 1, 0, 0, None, True, False, True)


def _layout(height: int, width: int) -> PlaneLayout:
    made = compact(height, width)
    return replace(made, tail=made.tail + OVERREAD)
