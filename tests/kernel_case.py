"""A kernel of images by itself: built for this machine, with its tensors where layouts put them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from generic_case import LANES
from helpers import Array

from sparsecc._codegen import PIPELINE
from sparsecc._tvm import IRModule, PrimFunc, tirx, tvm
from sparsecc.ir.layout import PlaneLayout, compact, padded, plain
from sparsecc.target import TARGETS


def call(function: PrimFunc, arrays: Sequence[Array], size: int, lanes: int) -> Array:
    """Build a kernel, and give its result, of ``size`` floats that are NaN before."""
    module = IRModule({"main": function.with_attr("global_symbol", "called")})
    llvm = TARGETS[LANES[lanes]].llvm
    built = tirx.build(module, target=tvm.target.Target(dict(llvm)), pipeline=PIPELINE)
    tensors = [tvm.runtime.tensor(x) for x in (*arrays, np.full(size, np.nan, np.float32))]
    built["called"](*tensors)
    return np.asarray(tensors[-1].numpy())


def placed(x: Array, layout: PlaneLayout) -> Array:
    """Planes ``(n, h, w)`` as a layout has them; gaps are NaN, for nobody may read them."""
    flat = np.full(layout.size(len(x)), np.nan, np.float32)
    view(flat, layout, len(x))[...] = x
    return flat


def view(flat: Array, layout: PlaneLayout, planes: int) -> Array:
    """Pixels of a buffer: ``(n, h, w)``."""
    strides = tuple(4 * step for step in (layout.channel, layout.pitch, 1))
    return np.lib.stride_tricks.as_strided(flat[layout.lead :], (planes, layout.h, layout.w), strides)


def layouts(h: int, w: int) -> list[PlaneLayout]:
    """Forms in which images lie."""
    return [plain(h, w), compact(h, w), padded(h, w, halo=(1, 1, 1, 1), pitch=w + 1)]
