"""Maximum pooling of codes: a row of the table of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule
from sparsecc.ir.quantized_pool import QuantizedPool
from sparsecc.kernels.int8.pool import PoolShape, int8_pool
from sparsecc.lower.kernel import Cost, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.reference import windows_of
from sparsecc.lower.site import Site

#: cycles of a vector of bytes that is copied, compared or picked from
_VECTOR = 2.5


def opened(site: Site[QuantizedPool]) -> PoolShape:
    """The kernel's shape."""
    layouts, node = site.placed.layouts, site.node
    source, result = layouts[node.inputs[0]], layouts[node.output]
    assert source is not None, "images have layouts"
    assert result is not None, "images have layouts"
    return PoolShape(site.operator.spec, source, result, site.operator.dtype == "int8")


def lower(site: Site[QuantizedPool], shape: PoolShape, config: None) -> Lowered:
    """Make the kernel."""
    node = site.node
    return Lowered("int8_pool", ("int8_pool", shape), int8_pool(shape), (node.inputs[0], node.output), {})


def cost(site: Site[QuantizedPool], once: Once) -> Cost:
    """Cycles of the kernel."""
    shape, spec = opened(site), site.operator.spec
    vectors = -(-spec.iw // shape.plane.unit)
    stores = -(-spec.ow // shape.per_store)
    each = shape.plane.rows * vectors + spec.oh * (vectors * spec.kh + stores * (spec.kw + 1)) / 2
    return Cost("int8 pool", windows=spec.n * spec.oc * each * _VECTOR)


def reference(operator: QuantizedPool, _module: IRModule, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The largest code of every window: ``(n, c, oh, ow)``."""
    windows = windows_of(inputs[0].astype(np.float32), operator.spec, fill=-np.inf)
    largest: NDArray[Any] = windows.max(axis=0)
    return largest.astype(operator.dtype)
