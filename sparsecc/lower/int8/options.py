"""A convolution of codes whose kernel and config are open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.blocks import BlockSparse
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer_key import Kind, LayerKey, Pattern, bucket
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.quantized import QuantizedConv
from sparsecc.kernels.int8.instructions import Instructions
from sparsecc.kernels.int8.shape import QuantLanes, QuantPixels, QuantShape, Result
from sparsecc.lower.cost.int8 import predict_lanes, predict_pixels
from sparsecc.lower.int8.pack import Groups, blocks_of, grouped
from sparsecc.lower.int8.space import space_of
from sparsecc.target import Target

QuantConfig = QuantLanes | QuantPixels
#: a code less its zero point is not larger
_LARGEST_CODE = 255.0
#: steps that are far from what has no room in 32 bits
_FAR = 2.0**30


def instructions_of(target: Target) -> Instructions:
    """What a target multiplies 8-bit integers with, exactly."""
    features = (*target.cpu_features, target.codes)
    if str(target.triple).startswith("x86_64"):
        is_wide = target.lanes == 16
        has = "avx512vnni" in features or (not is_wide and "avxvnni" in features)
        return Instructions("vpdpbusd" if has else "vpmaddwd", target.lanes)
    return Instructions("sdot" if "dotprod" in features else "smlal", 4)


def dense_block_sizes(spec: ConvSpec, by: Instructions) -> tuple[int, ...]:
    """Output channels of a row of blocks that a dense layer may have."""
    most, sizes = spec.oc_per_group, {1, 2, 4, 8, by.lanes, 2 * by.lanes, 4 * by.lanes}
    return tuple(sorted(n for n in sizes if n < 2 * most and (n <= most or n == by.lanes))) or (1,)


def dense_shape(shape: QuantShape, block_n: int) -> QuantShape:
    """The same with every block kept, in rows of so many channels."""
    spec = shape.spec
    per_row = -(-spec.ic_per_group // shape.instructions.group)
    rows = spec.groups * -(-spec.oc_per_group // block_n)
    return replace(
        shape, rows=rows, block_n=block_n, count=rows * per_row, most=per_row, uniform=per_row, dense=True,
        scattered=spec.oc_per_group % block_n != 0,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class QuantOptions:
    """What is open for a layer.

    Attributes
    ----------
    operator : QuantizedConv
    source : PlaneLayout
    result : Result
    target : Target
    grouping : numpy.ndarray or None
        Output channels of every row of blocks; None for a dense layer.
    """

    operator: QuantizedConv
    source: PlaneLayout
    result: Result
    target: Target
    grouping: NDArray[np.int32] | None

    @property
    def dense(self) -> bool:
        """Whether every block is computed."""
        return self.grouping is None

    @cached_property
    def blocks(self) -> dict[int, tuple[BlockSparse, Groups]]:
        """Those made so far, by output channels of a row."""
        return {}

    @cached_property
    def by(self) -> Instructions:
        """What the kernel multiplies with."""
        return instructions_of(self.target)

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """Output channels of a row of blocks that there may be."""
        if self.grouping is not None:
            return (int(self.grouping.shape[1]),)
        return dense_block_sizes(self.operator.spec, self.by)

    def packed(self, block_n: int) -> tuple[BlockSparse, Groups]:
        """Kept blocks, and their channels in groups."""
        if block_n not in self.blocks:
            groups = self.operator.spec.groups
            blocks = blocks_of(self.operator.weight, groups=groups, grouping=self.grouping, block_n=block_n)
            self.blocks[block_n] = blocks, grouped(blocks, self.by.group)
        return self.blocks[block_n]

    def shape(self, block_n: int) -> QuantShape:
        """The kernel's shape."""
        operator = self.operator
        plain = QuantShape(
            operator.spec,
            self.source,
            operator.source,
            self.result,
            self.by,
            1,
            1,
            0,
            0,
            None,
            True,
            False,
            self._fits,
        )
        if self.dense:
            return dense_shape(plain, block_n)
        blocks, groups = self.packed(block_n)
        return replace(
            plain, rows=blocks.rows, block_n=block_n, count=len(groups.channels), most=groups.most,
            uniform=groups.uniform, dense=False,
            scattered=not (blocks.is_aligned and blocks.rows * block_n == operator.spec.oc),
        )  # fmt: skip

    @cached_property
    def _fits(self) -> bool:
        """Whether every value is far within 32 bits; those of an activation are not asked."""
        operator = self.operator
        if operator.activation is not None or operator.result is None:
            return False
        sums = _LARGEST_CODE * np.abs(operator.weight.astype(np.float64)).sum(axis=(1, 2, 3))
        largest = sums * operator.factors + np.abs(operator.offsets.astype(np.float64))
        if operator.residual is not None:
            largest = largest + _LARGEST_CODE * operator.residual.scale / operator.result.scale
        return bool(np.all(largest < _FAR))  # not of NaN

    def key(self, kind: Kind) -> LayerKey:
        """What records call the layer."""
        spec, result = self.operator.spec, self.result
        block_n, density, pattern = 0, 100, "dense"
        if not self.dense:
            (block_n,) = self.block_sizes
            blocks, _ = self.packed(block_n)
            density = bucket(blocks.nnzb, blocks.rows * spec.ic_per_group)
            pattern = "uniform" if blocks.is_uniform else "ragged"
        made: Pattern = pattern  # type: ignore[assignment]  # one of the texts above
        return LayerKey(
            kind=kind, spec=spec, block_n=block_n, density=density, pattern=made, scattered=False,
            epilogue=str(self.operator), pitch=(self.source.pitch, result.layout.pitch),
            adds_residual=result.residual is not None,
        )  # fmt: skip

    def space(self) -> Iterator[QuantConfig]:
        """Every legal config."""
        for block_n in self.block_sizes:
            yield from space_of(self.shape(block_n), self.target)

    def default(self) -> QuantConfig:
        """The cost model's choice."""
        return min(self.space(), key=self.predict)

    def predict(self, config: QuantConfig) -> float:
        """Cycles that the cost model predicts."""
        shape = self.shape(config.block_n)
        return config.by_kernel(lambda lanes: predict_lanes(shape, lanes), lambda pixels: predict_pixels(shape, pixels))
