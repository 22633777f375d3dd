"""What convolutions and linear layers of codes compute, by NumPy, and where rounding may fall to either side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule
from sparsecc.ir.quantized import QuantizedConv
from sparsecc.kernels.activation import reference as activate
from sparsecc.lower.conv_reference import sums

#: of the terms of a sum, in float32, and of an activation
_ROUNDING = 2e-6


def values(operator: QuantizedConv, inputs: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """What is rounded to codes, exactly but for the activation: float64 ``(n, oc, oh, ow)``."""
    spec = operator.spec
    x = inputs[0].astype(np.float64).reshape(spec.n, spec.ic, spec.ih, spec.iw) - operator.source.zero_point
    scales = operator.source.scale * operator.scales.astype(np.float64)
    value = sums(x, operator.weight, spec) * scales[:, None, None] + operator.bias.astype(np.float64)[:, None, None]
    if operator.residual is not None:
        value = value + operator.residual.values(inputs[1]).reshape(value.shape)
    if operator.activation is None:
        return value
    return activate(operator.activation, value.astype(np.float32)).astype(np.float64)


def boundary(operator: QuantizedConv, inputs: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """Where a value is so near the middle between two codes that float32 sums may fall to either side."""
    steps = values(operator, inputs) / operator.step
    # terms of a sum may be larger than it; twice what rounding each of them to float32 can make, and of an activation
    terms = values(replace(operator, bias=np.abs(operator.bias), activation=None), inputs)
    largest = np.abs(terms) + np.abs(operator.bias).astype(np.float64)[:, None, None]
    room = _ROUNDING * (largest / operator.step + 1)
    return np.abs(np.abs(steps - np.floor(steps)) - 0.5) <= room


def reference(operator: QuantizedConv, _module: IRModule, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Codes, or float32: ``(n, oc, oh, ow)``."""
    found = values(operator, inputs).astype(np.float32)
    if operator.result is None:
        return found
    return operator.result.codes(found, low=operator.low, high=operator.high)
