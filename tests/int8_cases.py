"""Layers of codes that the kernels of 8-bit integers are tested with: one list, and arrays made from a case's name."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._codegen import PIPELINE
from sparsecc._tvm import IRModule, PrimFunc, tirx, tvm
from sparsecc.ir.blocks import aligned_grouping
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation
from sparsecc.ir.layout import PlaneLayout, compact, padded
from sparsecc.ir.quantized import Quantization, QuantizedConv
from sparsecc.kernels.int8.shape import OVERREAD, QuantShape, Result, parameters
from sparsecc.target import Target

ONES, TWOS = (1, 1, 1, 1), (2, 2, 2, 2)
U8, S8 = Quantization(0.02, 3, "uint8"), Quantization(0.02, -7, "int8")
WRITES = Quantization(0.05, 5, "uint8")


@dataclass(frozen=True)
class Case:
    """A layer; ``density`` is the kept share of 1 x ``block_n`` blocks, a density of 1 a dense layer.

    ``large``: results far beyond the codes' bounds. ``one_block``: all but one block are pruned. ``gaps``: input and
    output lie with gaps between rows and zeros around. ``tight``: nothing may be read after the last pixel.
    """

    name: str
    spec: ConvSpec
    block_n: int = 4
    density: float = 1.0
    reads: Quantization = U8
    writes: Quantization | None = WRITES
    residual: Quantization | None = None
    activation: Activation | None = None
    large: bool = False
    one_block: bool = False
    gaps: bool = False
    tight: bool = False


CASES = [
    Case("1x1_n4", ConvSpec(1, 37, 14, 14, 32), 4, 0.5),
    Case("1x1_n16", ConvSpec(2, 37, 14, 14, 32), 16, 0.5),
    Case("1x1_n8_gaps", ConvSpec(1, 20, 9, 7, 24), 8, 0.5, gaps=True),
    Case("1x1_dense", ConvSpec(1, 19, 10, 10, 40)),
    Case("density_0", ConvSpec(1, 16, 8, 8, 16), 4, 0.0),
    Case("one_block", ConvSpec(1, 16, 8, 8, 32), 16, 0.0, one_block=True),
    Case("ragged", ConvSpec(1, 64, 7, 7, 48), 4, 0.1),
    Case("3x3_n4", ConvSpec(1, 21, 13, 9, 20, 3, 3, padding=ONES), 4, 0.4),
    Case("3x3_n16_batch", ConvSpec(2, 16, 7, 7, 32, 3, 3, padding=ONES), 16, 0.5),
    Case("3x3_dense", ConvSpec(1, 16, 14, 14, 32, 3, 3, padding=ONES)),
    Case("stride_2", ConvSpec(1, 12, 15, 13, 16, 3, 3, (2, 2), ONES), 16, 0.5),
    Case("stride_2_1x1", ConvSpec(1, 12, 14, 14, 16, 1, 1, (2, 2)), 4, 0.5),
    Case("stride_3", ConvSpec(1, 5, 20, 20, 16, 5, 5, (3, 3), TWOS)),
    Case("dilated", ConvSpec(1, 8, 13, 13, 16, 3, 3, (1, 1), TWOS, (2, 2)), 4, 0.5),
    Case("groups", ConvSpec(1, 24, 9, 9, 40, 3, 3, padding=ONES, groups=2), 4, 0.5),
    Case("groups_dense", ConvSpec(1, 6, 9, 9, 12, 1, 1, groups=2)),
    Case("first_layer", ConvSpec(1, 3, 33, 33, 16, 7, 7, (2, 2), (3, 3, 3, 3))),
    Case("1x1_image", ConvSpec(1, 33, 1, 1, 40), 16, 0.5),
    Case("1x1_image_dense", ConvSpec(3, 64, 1, 1, 10)),
    Case("tight", ConvSpec(1, 10, 9, 9, 16, 3, 3, (2, 2), ONES), 4, 0.5, residual=U8, tight=True),
    Case("tight_list", ConvSpec(2, 30, 1, 1, 20), reads=S8, residual=U8, tight=True),
    Case("tall", ConvSpec(1, 4, 60, 3, 8, 3, 3, padding=ONES)),
    Case("wide", ConvSpec(1, 8, 2, 130, 16, 1, 3, padding=(0, 1, 0, 1)), 16, 0.5),
    Case("zero_point_0", ConvSpec(1, 16, 8, 8, 16, 3, 3, padding=ONES), reads=Quantization(0.1, 0, "uint8")),
    Case("zero_point_128", ConvSpec(1, 16, 8, 8, 16, 3, 3, padding=ONES), reads=Quantization(0.1, 128, "uint8")),
    Case("zero_point_255", ConvSpec(1, 16, 8, 8, 16, 3, 3, padding=ONES), reads=Quantization(0.1, 255, "uint8")),
    Case("zero_point_-128", ConvSpec(1, 16, 8, 8, 16, 3, 3, padding=ONES), reads=Quantization(0.1, -128, "int8")),
    Case("signed", ConvSpec(1, 18, 9, 9, 16), 4, 0.6, reads=S8, writes=Quantization(0.04, -3, "int8")),
    Case("saturates", ConvSpec(1, 64, 8, 8, 32, 3, 3, padding=ONES), 16, 0.9, large=True),
    Case("saturates_signed", ConvSpec(1, 64, 8, 8, 32), 4, 0.9, S8, Quantization(0.04, 9, "int8"), large=True),
    Case("residual", ConvSpec(1, 16, 14, 14, 16), 4, 0.5, residual=Quantization(0.07, 130, "uint8")),
    Case("residual_signed", ConvSpec(1, 16, 14, 14, 32, 3, 3, padding=ONES), 16, 0.5, residual=S8),
    Case("float_result", ConvSpec(1, 16, 9, 9, 16, 3, 3, padding=ONES), 4, 0.5, writes=None),
    Case("activation", ConvSpec(1, 16, 9, 9, 16), 4, 0.5, activation=Activation("hardswish"), residual=U8),
]
WINDOWS = [
    Case("3x3", ConvSpec(2, 6, 14, 14, 6, 3, 3, padding=ONES, groups=6)),
    Case("5x5", ConvSpec(1, 5, 7, 9, 5, 5, 5, padding=TWOS, groups=5), residual=U8),
    Case("3x3_stride_2", ConvSpec(1, 4, 57, 56, 4, 3, 3, (2, 2), ONES, groups=4), reads=S8),
    Case("5x5_stride_2", ConvSpec(1, 4, 21, 20, 4, 5, 5, (2, 2), TWOS, groups=4), writes=None),
    Case("dilated", ConvSpec(1, 4, 19, 19, 4, 3, 3, (1, 1), TWOS, (2, 2), groups=4)),
    Case("multiplied", ConvSpec(1, 3, 9, 9, 6, 3, 3, padding=ONES, groups=3), activation=Activation("silu")),
    Case("small", ConvSpec(1, 3, 2, 2, 3, 3, 3, padding=ONES, groups=3), writes=Quantization(0.05, 0, "int8")),
    Case("far_apart", ConvSpec(1, 3, 40, 40, 3, 3, 3, (4, 4), ONES, (9, 9), groups=3), large=True),
    Case("tight", ConvSpec(1, 4, 9, 21, 4, 3, 3, padding=ONES, groups=4), reads=S8, tight=True),
    Case("gaps", ConvSpec(1, 4, 12, 17, 4, 3, 3, padding=ONES, groups=4), gaps=True),
]


def operator_of(case: Case) -> QuantizedConv:
    """The layer, with weights drawn by its name."""
    spec, rng = case.spec, np.random.default_rng(zlib.crc32(case.name.encode()))
    weight = rng.integers(-127, 128, spec.weight_shape).astype(np.int8)
    grouping = grouping_of(case)
    if grouping is not None:
        kept = rng.random((len(grouping), spec.ic_per_group)) < case.density
        kept[0, -1] |= case.one_block
        for row, channels in zip(kept, grouping, strict=True):
            weight[np.ix_(channels, np.flatnonzero(~row))] = 0
    spread = 0.002 * (100 if case.large else 1) / np.sqrt(spec.ic_per_group * spec.taps)
    scales = (rng.random(spec.oc) * spread + 1e-5).astype(np.float32)
    bias = rng.normal(size=spec.oc).astype(np.float32)
    low, high = case.writes.bounds if case.writes else (0, 0)
    return QuantizedConv(
        case.name, case.name, spec, weight, scales, bias, case.reads, case.writes, low, high, case.activation,
        case.residual,
    )  # fmt: skip


def grouping_of(case: Case) -> NDArray[np.int32] | None:
    """Rows of blocks of a pruned layer."""
    if case.density == 1:
        return None
    return aligned_grouping(case.spec.oc, groups=case.spec.groups, block_n=case.block_n)


def inputs_of(case: Case) -> list[NDArray[Any]]:
    """Codes that the layer reads."""
    spec, rng = case.spec, np.random.default_rng(zlib.crc32(b"x" + case.name.encode()))
    shapes = [(case.reads, (spec.n, spec.ic, spec.ih, spec.iw))]
    shapes += [(case.residual, (spec.n, spec.oc, spec.oh, spec.ow))] * (case.residual is not None)
    return [rng.integers(of.bounds[0], of.bounds[1] + 1, shape).astype(of.dtype) for of, shape in shapes]


def layouts_of(case: Case) -> tuple[PlaneLayout, Result]:
    """Where tensors lie."""
    spec, operator = case.spec, operator_of(case)

    def layout(h: int, w: int) -> PlaneLayout:
        made = padded(h, w, halo=ONES, pitch=w + 1) if case.gaps else compact(h, w)
        return made if case.tight else replace(made, tail=made.tail + OVERREAD)

    to = layout(spec.oh, spec.ow)
    added = None if case.residual is None else to
    result = Result(to, case.writes, operator.low, operator.high, case.activation, case.residual, added)
    return layout(spec.ih, spec.iw), result


def run(function: PrimFunc, shape: QuantShape, case: Case, constants: dict[str, Any], target: Target) -> NDArray[Any]:
    """A kernel's result on this machine; what it must not write is found untouched."""
    module = IRModule({"main": function.with_attr("global_symbol", "called")})
    built = tirx.build(module, target=tvm.target.Target(dict(target.for_codes().llvm)), pipeline=PIPELINE)
    inputs, result = inputs_of(case), shape.result
    values = {**constants, "input": placed(inputs[0], shape.source)}
    if result.residual_layout is not None:
        values["residual"] = placed(inputs[1], result.residual_layout)
    planes = case.spec.n * case.spec.oc
    values["output"] = np.full(result.layout.size(planes), 77, result.dtype)
    tensors = [tvm.runtime.tensor(np.ascontiguousarray(values[name])) for name, _ in parameters(shape)]
    built["called"](*tensors)
    flat = tensors[-1].numpy()
    found = pixels_of(flat, result.layout, planes).copy()
    pixels_of(flat, result.layout, planes)[...] = 77
    assert (flat == 77).all(), "written where no pixel is"
    codes = found if case.writes is None else found.view(case.writes.dtype)
    return codes.reshape(case.spec.n, case.spec.oc, case.spec.oh, case.spec.ow)


def placed(x: NDArray[Any], layout: PlaneLayout) -> NDArray[np.uint8]:
    """Bytes of images where a layout says, and others between them."""
    planes = x.shape[0] * x.shape[1]
    flat = np.full(layout.size(planes), 99, np.uint8)
    pixels_of(flat, layout, planes)[...] = x.view(np.uint8).reshape(planes, *x.shape[2:])
    return flat


def pixels_of(flat: NDArray[Any], layout: PlaneLayout, planes: int) -> NDArray[Any]:
    """A view of the pixels of planes."""
    strides = [flat.itemsize * step for step in (layout.channel, layout.pitch, 1)]
    return np.lib.stride_tricks.as_strided(flat[layout.lead :], (planes, layout.h, layout.w), strides)


def assert_codes(found: NDArray[Any], values: NDArray[np.float64], operator: QuantizedConv) -> None:
    """Codes are those of exact values, but for one step where a value is near the middle between two."""
    result = operator.result
    if result is None:
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-4)
        return
    steps = values / result.scale
    expected = np.clip(np.rint(steps) + result.zero_point, operator.low, operator.high)
    off = np.abs(found.astype(np.int64) - expected)
    middle = np.abs(np.abs(steps - np.floor(steps)) - 0.5) < 1e-3
    assert np.all((off == 0) | ((off == 1) & middle)), np.argwhere(off > middle)[:5]
