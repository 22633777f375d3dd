"""Pooling by the Euclidean norm: the window kernel with another way to combine values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparsecc._tvm import IRModule
from sparsecc.ir.l2_pool import L2PoolLayer
from sparsecc.kernels.l2_pool import L2
from sparsecc.kernels.window_shape import WindowShape
from sparsecc.lower.kernel import Array, Cost, Once
from sparsecc.lower.reference import pooling
from sparsecc.lower.site import Site
from sparsecc.lower.window import cost_of, shape_at


def opened(site: Site[L2PoolLayer]) -> WindowShape:
    """The kernel's shape."""
    return shape_at(site, L2)


def cost(site: Site[L2PoolLayer], once: Once) -> Cost:
    """Cycles of the kernel by itself."""
    return cost_of(opened(site), site.target, once)


def reference(operator: L2PoolLayer, module: IRModule, inputs: Sequence[Array]) -> Array:
    """The norm of every window: ``(n, c, oh, ow)``."""
    squares = pooling(operator.squares, module, [inputs[0] ** 2])
    return np.asarray(np.sqrt(operator.factor * squares), np.float32)
