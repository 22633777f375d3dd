"""The convolutions that everything is tested with: one literal list, and arrays made from a case's name.

Weights, biases and inputs are small multiples of 1/8, so every sum of products is exact in float32, in any order:
two right implementations agree bit for bit.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.blocks import BlockSparse, aligned_grouping, to_blocks
from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.conv_reference import conv2d


@dataclass(frozen=True)
class Case:
    """One conv and the pattern of its weight.

    ``density`` is the kept share of blocks, ``uniform`` keeps equally many a row, ``aligned`` makes rows of
    neighbouring output channels. ``empty_row`` clears the first row of blocks, ``dead_oc`` one output channel inside
    a row, ``dead_ic`` one input channel, ``dead_tap`` one tap of all kernels; ``taps`` keeps that share of the taps of
    every row of blocks, anywhere.
    """

    name: str
    spec: ConvSpec
    block_n: int = 4
    density: float = 0.5
    uniform: bool = False
    aligned: bool = True
    empty_row: bool = False
    dead_oc: bool = False
    dead_ic: bool = False
    dead_tap: bool = False
    taps: float = 1.0
    has_bias: bool = True


@dataclass(frozen=True, eq=False)
class Arrays:
    """float32 arrays of a case; ``y`` is what the reference makes of them, exactly."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    blocks: BlockSparse


CASES = [
    # block sizes
    Case("n1", ConvSpec(1, 16, 9, 9, 8), block_n=1, density=0.4),
    Case("n2", ConvSpec(1, 16, 9, 9, 16), block_n=2, density=0.4),
    Case("n4", ConvSpec(1, 16, 9, 9, 16), block_n=4, density=0.4),
    Case("n8", ConvSpec(1, 16, 9, 9, 32), block_n=8, density=0.4),
    Case("n16", ConvSpec(1, 16, 9, 9, 32), block_n=16, density=0.4),
    Case("n32", ConvSpec(1, 16, 9, 9, 64), block_n=32, density=0.4),
    Case("n1_groups", ConvSpec(1, 16, 9, 9, 8, groups=2), block_n=1, density=0.4),
    Case("n3", ConvSpec(1, 32, 9, 9, 24), block_n=3, density=0.4),
    Case("n6_3x3", ConvSpec(1, 32, 9, 9, 36, 3, 3, padding=(1, 1, 1, 1)), block_n=6, density=0.3),
    Case("n13", ConvSpec(1, 32, 9, 9, 39), block_n=13, density=0.4),
    Case("n24_rearranged", ConvSpec(1, 64, 9, 9, 96), block_n=24, density=0.4, aligned=False),
    Case("n64", ConvSpec(1, 16, 9, 9, 192), block_n=64, density=0.4),
    # zeros anywhere
    Case("taps", ConvSpec(1, 16, 14, 14, 16, 3, 3, padding=(1, 1, 1, 1)), block_n=1, density=1.0, taps=0.2),
    Case("taps_stride_2", ConvSpec(2, 8, 15, 13, 12, 3, 3, (2, 2), (1, 1, 1, 1)), block_n=1, density=1.0, taps=0.2),
    Case("taps_dilated", ConvSpec(1, 8, 13, 13, 8, 3, 3, (1, 1), (2, 2, 2, 2), (2, 2)), block_n=1, taps=0.3),
    Case("taps_groups", ConvSpec(1, 16, 8, 8, 16, 5, 5, padding=(2, 2, 2, 2), groups=2), block_n=1, taps=0.1),
    Case("taps_n4", ConvSpec(1, 16, 7, 7, 32, 3, 3, padding=(1, 1, 1, 1)), block_n=4, density=1.0, taps=0.2),
    Case("taps_n16", ConvSpec(1, 16, 14, 14, 32, 3, 3, padding=(1, 1, 1, 1)), block_n=16, density=1.0, taps=0.2),
    Case("taps_rearranged", ConvSpec(1, 16, 9, 9, 32, 3, 3), block_n=4, density=1.0, taps=0.2, aligned=False),
    # kernels
    Case("1x1", ConvSpec(1, 32, 14, 14, 32)),
    Case("3x3", ConvSpec(1, 16, 14, 14, 16, 3, 3, padding=(1, 1, 1, 1))),
    Case("3x3_valid", ConvSpec(1, 8, 10, 12, 8, 3, 3)),
    Case("5x5", ConvSpec(1, 8, 11, 11, 8, 5, 5, padding=(2, 2, 2, 2))),
    Case("1x7", ConvSpec(1, 8, 9, 13, 8, 1, 7, padding=(0, 3, 0, 3))),
    Case("7x1", ConvSpec(1, 8, 13, 9, 8, 7, 1, padding=(3, 0, 3, 0))),
    Case("stem_7x7_stride_2", ConvSpec(1, 3, 33, 33, 16, 7, 7, (2, 2), (3, 3, 3, 3)), density=0.7),
    Case("even_2x2", ConvSpec(1, 8, 9, 9, 8, 2, 2)),
    Case("even_4x2", ConvSpec(1, 8, 9, 9, 8, 4, 2, padding=(2, 1, 1, 0))),
    Case("kernel_covers_image", ConvSpec(1, 8, 5, 6, 8, 5, 6)),
    Case("kernel_larger_than_image", ConvSpec(1, 8, 2, 3, 8, 5, 5, padding=(2, 2, 2, 2))),
    # strides, dilation, padding
    Case("1x1_stride_2", ConvSpec(1, 16, 14, 14, 16, stride=(2, 2))),
    Case("3x3_stride_2", ConvSpec(1, 16, 15, 15, 16, 3, 3, (2, 2), (1, 1, 1, 1))),
    Case("3x3_stride_2_even_image", ConvSpec(1, 16, 14, 14, 16, 3, 3, (2, 2), (1, 1, 1, 1))),
    Case("3x3_stride_3", ConvSpec(1, 8, 17, 16, 8, 3, 3, (3, 3), (1, 1, 1, 1))),
    Case("stride_2x1", ConvSpec(1, 8, 12, 11, 8, 3, 3, (2, 1), (1, 1, 1, 1))),
    Case("stride_larger_than_kernel", ConvSpec(1, 8, 13, 13, 8, 2, 2, (4, 4))),
    Case("dilation_2", ConvSpec(1, 8, 13, 13, 8, 3, 3, padding=(2, 2, 2, 2), dilation=(2, 2))),
    Case("dilation_3x1_stride_2", ConvSpec(1, 8, 15, 14, 8, 3, 3, (2, 2), (3, 1, 3, 1), (3, 1))),
    # tiles leave out rows of taps that lie in the padding
    Case(
        "dilation_in_the_padding", ConvSpec(2, 16, 10, 11, 32, 3, 3, padding=(6, 6, 6, 6), dilation=(6, 6)), block_n=16
    ),
    Case("dilation_beyond_the_middle", ConvSpec(1, 8, 14, 9, 16, 5, 3, (2, 1), (9, 3, 7, 3), (4, 3)), block_n=8),
    Case("1x1_padded", ConvSpec(1, 8, 6, 6, 8, padding=(1, 1, 1, 1))),
    Case("asymmetric_padding", ConvSpec(1, 8, 9, 9, 8, 3, 3, padding=(0, 1, 2, 3))),
    Case("same_padding_stride_2", ConvSpec(1, 8, 12, 12, 8, 3, 3, (2, 2), (0, 0, 1, 1))),
    # image sizes
    Case("image_1x1", ConvSpec(1, 64, 1, 1, 32), block_n=8),
    Case("image_1x1_3x3", ConvSpec(1, 16, 1, 1, 16, 3, 3, padding=(1, 1, 1, 1))),
    Case("image_7x7", ConvSpec(1, 32, 7, 7, 32, 3, 3, padding=(1, 1, 1, 1)), block_n=16),
    Case("image_14x14", ConvSpec(1, 32, 14, 14, 64), block_n=16),
    Case("image_28x28", ConvSpec(1, 16, 28, 28, 16, 3, 3, padding=(1, 1, 1, 1)), block_n=8),
    Case("image_56x56", ConvSpec(1, 8, 56, 56, 16), block_n=4),
    Case("width_1", ConvSpec(1, 8, 17, 1, 8, 3, 3, padding=(1, 1, 1, 1))),
    Case("height_1", ConvSpec(1, 8, 1, 17, 8, 3, 3, padding=(1, 1, 1, 1))),
    Case("odd_image", ConvSpec(1, 8, 13, 21, 8, 3, 3, padding=(1, 1, 1, 1))),
    Case("linear", ConvSpec(1, 100, 1, 1, 60), block_n=4),
    # batches
    Case("batch_3", ConvSpec(3, 16, 7, 7, 16, 3, 3, padding=(1, 1, 1, 1))),
    Case("batch_3_linear", ConvSpec(3, 48, 1, 1, 40), block_n=8),
    Case("batch_2_stride_2", ConvSpec(2, 8, 9, 10, 8, 3, 3, (2, 2), (1, 1, 1, 1))),
    # groups
    Case("groups_2", ConvSpec(1, 16, 8, 8, 16, 3, 3, padding=(1, 1, 1, 1), groups=2)),
    Case("groups_8_of_4", ConvSpec(1, 32, 8, 8, 32, 3, 3, padding=(1, 1, 1, 1), groups=8)),
    Case("groups_3_with_tails", ConvSpec(1, 12, 8, 8, 18, groups=3), block_n=4),
    Case("groups_2_rearranged", ConvSpec(1, 32, 6, 6, 32, 3, 3, padding=(1, 1, 1, 1), groups=2), aligned=False),
    Case("depthwise", ConvSpec(1, 16, 9, 9, 16, 3, 3, padding=(1, 1, 1, 1), groups=16), block_n=1, density=1.0),
    Case("depthwise_twice", ConvSpec(1, 8, 9, 9, 16, 3, 3, (2, 2), (1, 1, 1, 1), groups=8), block_n=2, density=1.0),
    # channels
    Case("oc_not_divisible", ConvSpec(1, 16, 8, 8, 22), block_n=8),
    Case("oc_less_than_n", ConvSpec(1, 16, 8, 8, 3), block_n=4),
    Case("oc_1", ConvSpec(1, 16, 8, 8, 1), block_n=1),
    Case("ic_1", ConvSpec(1, 1, 8, 8, 8, 3, 3, padding=(1, 1, 1, 1)), density=1.0),
    Case("oc_not_divisible_rearranged", ConvSpec(1, 32, 8, 8, 30), block_n=4, aligned=False),
    # patterns
    Case("uniform", ConvSpec(1, 16, 8, 8, 32), block_n=8, uniform=True),
    Case("uniform_3x3", ConvSpec(1, 16, 8, 8, 32, 3, 3, padding=(1, 1, 1, 1)), block_n=16, uniform=True, density=0.25),
    Case("rearranged", ConvSpec(1, 32, 8, 8, 32, 3, 3, padding=(1, 1, 1, 1)), block_n=8, aligned=False),
    Case("rearranged_uniform", ConvSpec(1, 32, 8, 8, 64), block_n=16, uniform=True, aligned=False),
    Case("one_block_a_row", ConvSpec(1, 32, 8, 8, 32), block_n=4, uniform=True, density=1 / 32),
    Case("density_10", ConvSpec(1, 64, 8, 8, 32), block_n=8, density=0.1),
    Case("density_90", ConvSpec(1, 16, 8, 8, 32), block_n=8, density=0.9),
    Case("empty_row", ConvSpec(1, 16, 8, 8, 16, 3, 3, padding=(1, 1, 1, 1)), empty_row=True),
    Case("empty_row_no_bias", ConvSpec(1, 16, 8, 8, 16), empty_row=True, has_bias=False),
    Case("dead_output_channel", ConvSpec(1, 16, 8, 8, 16), block_n=8, dead_oc=True),
    Case("dead_input_channel", ConvSpec(1, 16, 8, 8, 16), block_n=8, dead_ic=True),
    Case("dead_tap", ConvSpec(1, 8, 8, 8, 8, 3, 3, padding=(1, 1, 1, 1)), dead_tap=True),
    Case("all_zero", ConvSpec(1, 16, 8, 8, 16, 3, 3, padding=(1, 1, 1, 1)), density=0.0),
    Case("all_zero_no_bias", ConvSpec(1, 16, 8, 8, 16), density=0.0, has_bias=False),
    Case("dense", ConvSpec(1, 16, 14, 14, 32, 3, 3, padding=(1, 1, 1, 1)), block_n=8, density=1.0),
    Case("dense_1x1", ConvSpec(1, 32, 14, 14, 32), block_n=16, density=1.0),
    Case("no_bias", ConvSpec(1, 16, 8, 8, 16), has_bias=False),
]

BY_NAME = {case.name: case for case in CASES}


@cache
def build(case: Case) -> Arrays:
    """Make a case's arrays, the same on every machine."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    spec = case.spec
    grouping = case_grouping(case, rng=rng)
    weight = _eighths(rng, spec.weight_shape, nonzero=True) * _mask(case, grouping, rng=rng)[:, :, None, None]
    if case.taps < 1:
        weight[grouping] *= rng.random((grouping.shape[0], 1, *weight.shape[1:])) < case.taps
    if case.dead_oc:
        weight[case.block_n - 1] = 0
    if case.dead_ic:
        weight[:, 1] = 0
    if case.dead_tap:
        weight[:, :, 0, 0] = 0
    bias = _eighths(rng, (spec.oc,)) if case.has_bias else None
    x = _eighths(rng, (spec.n, spec.ic, spec.ih, spec.iw))
    blocks = to_blocks(weight, groups=spec.groups, grouping=grouping)
    arrays = Arrays(weight=weight, bias=bias, x=x, y=conv2d(x, weight, bias, spec), blocks=blocks)
    for array in (weight, bias, x, arrays.y):
        if array is not None:
            array.flags.writeable = False  # shared by all tests of this process
    return arrays


def case_grouping(case: Case, *, rng: np.random.Generator) -> NDArray[np.int32]:
    """Rows of blocks of a case: consecutive output channels, or shuffled ones of the same conv group."""
    spec = case.spec
    grouping = aligned_grouping(spec.oc, groups=spec.groups, block_n=case.block_n)
    if case.aligned:
        return grouping
    order = np.concatenate([rng.permutation(spec.oc_per_group) + g * spec.oc_per_group for g in range(spec.groups)])
    return order.astype(np.int32)[grouping]


def _mask(case: Case, grouping: NDArray[np.int32], *, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 for kept kernels, 0 for pruned ones, ``(oc, ic / groups)``."""
    score = rng.random((grouping.shape[0], case.spec.ic_per_group))
    share = round(case.density * score.size)
    if case.uniform:
        kept = score.argsort(axis=1).argsort(axis=1) < round(case.density * score.shape[1])
    else:
        kept = score.ravel().argsort().argsort().reshape(score.shape) < share
    kept[0] &= not case.empty_row
    mask = np.zeros((case.spec.oc, case.spec.ic_per_group), np.float32)
    mask[grouping] = kept[:, None]
    return mask


def _eighths(rng: np.random.Generator, shape: tuple[int, ...], *, nonzero: bool = False) -> NDArray[np.float32]:
    """Multiples of 1/8 between -1 and 1."""
    whole = rng.integers(1 if nonzero else 0, 9, shape) * rng.choice([-1, 1], shape)
    return (whole / 8).astype(np.float32)
