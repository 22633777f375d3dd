"""Maximum pooling of codes against PyTorch's, on every kind of window and layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from int8_cases import OVERREAD, pixels_of, placed

from sparsecc._codegen import PIPELINE
from sparsecc._tvm import IRModule, tirx, tvm
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layout import PlaneLayout, compact, padded
from sparsecc.kernels.int8.pool import PoolShape, int8_pool
from sparsecc.target import resolve

NAMES = ["x86-64-v3", "x86-64-v4"]
TARGETS = [name for name in NAMES if resolve(name).runs_here()]
WINDOWS = {
    "3x3_stride_2": ConvSpec(1, 3, 57, 112, 3, 3, 3, (2, 2), (1, 1, 1, 1), groups=3),
    "2x2_stride_2": ConvSpec(2, 2, 8, 8, 2, 2, 2, (2, 2), groups=2),
    "5x5": ConvSpec(1, 2, 13, 13, 2, 5, 5, (1, 1), (2, 2, 2, 2), groups=2),
    "dilated": ConvSpec(1, 2, 21, 70, 2, 3, 3, (3, 3), (1, 1, 1, 1), (2, 2), groups=2),
    "far_apart": ConvSpec(1, 2, 140, 140, 2, 2, 2, (70, 70), groups=2),
    "1x3": ConvSpec(1, 2, 4, 33, 2, 1, 3, (1, 5), (0, 1, 0, 1), groups=2),
    "one_pixel": ConvSpec(1, 2, 2, 2, 2, 2, 2, groups=2),
    "unequal_padding": ConvSpec(1, 2, 8, 8, 2, 3, 3, (2, 2), (0, 0, 1, 1), groups=2),
}


def layout(height: int, width: int, kind: str) -> PlaneLayout:
    made = padded(height, width, halo=(1, 1, 1, 1), pitch=width + 3) if kind == "gaps" else compact(height, width)
    return made if kind == "tight" else replace(made, tail=made.tail + OVERREAD)


def largest(x: np.ndarray, spec: ConvSpec) -> np.ndarray:
    top, left, bottom, right = spec.padding
    wide = torch.nn.functional.pad(torch.from_numpy(x.astype(np.float32)), (left, right, top, bottom), value=-torch.inf)
    found = torch.nn.functional.max_pool2d(wide, (spec.kh, spec.kw), spec.stride, 0, spec.dilation)
    return found.numpy().astype(x.dtype)


@pytest.mark.parametrize("kind", ["whole", "gaps", "tight"])
@pytest.mark.parametrize("name", WINDOWS)
def test_every_window(name, kind):
    spec = WINDOWS[name]
    for dtype in ("uint8", "int8"):
        target = TARGETS[len(name) % len(TARGETS)]
        shape = PoolShape(spec, layout(spec.ih, spec.iw, kind), layout(spec.oh, spec.ow, kind), dtype == "int8")
        module = IRModule({"main": int8_pool(shape).with_attr("global_symbol", "called")})
        built = tirx.build(module, target=tvm.target.Target(dict(resolve(target).llvm)), pipeline=PIPELINE)
        x = np.random.default_rng(0).integers(0, 256, (spec.n, spec.ic, spec.ih, spec.iw)).astype(np.uint8).view(dtype)
        planes = spec.n * spec.oc
        output = tvm.runtime.tensor(np.full(shape.result.size(planes), 77, np.uint8))
        built["called"](tvm.runtime.tensor(placed(x, shape.source)), output)
        flat = output.numpy()
        found = pixels_of(flat, shape.result, planes).copy()
        np.testing.assert_array_equal(found.view(dtype).reshape(spec.n, spec.oc, spec.oh, spec.ow), largest(x, spec))
        pixels_of(flat, shape.result, planes)[...] = 77
        assert (flat == 77).all(), "written where no pixel is"
