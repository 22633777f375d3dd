"""What an operator computes, by NumPy and PyTorch: every candidate is held against it before it is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sparsecc.errors import InternalError
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.epilogue import Activation, Epilogue
from sparsecc.facts.graph import Chain, FusedConv
from sparsecc.facts.layer import PoolLayer
from sparsecc.facts.reference import conv2d

Array = NDArray[np.float32]

_ACTIVATIONS: dict[str, Callable[..., torch.Tensor]] = {
    "relu": torch.relu,
    "clip": torch.clamp,
    "leaky_relu": functional.leaky_relu,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "mish": functional.mish,
    "elu": torch.ops.aten.elu,
    "softplus": functional.softplus,
}


def result(operator: Any, inputs: Sequence[Array]) -> Array:
    """Result of a convolution, a pooling or a chain.

    Parameters
    ----------
    operator : FusedConv, PoolLayer or Chain
    inputs : sequence of numpy.ndarray
        float32, in their logical shapes; a residual comes last.

    Returns
    -------
    numpy.ndarray
        float32 ``(n, oc, oh, ow)``.
    """
    if isinstance(operator, Chain):
        return result(operator.window, [result(operator.conv, inputs[:1])])
    if isinstance(operator, PoolLayer):
        return _pool(operator, inputs[0])
    if not isinstance(operator, FusedConv):
        raise InternalError(f"tuning: no reference for {type(operator).__name__}")
    layer, spec = operator.layer, operator.layer.spec
    x = inputs[0].reshape(spec.n, spec.ic, spec.ih, spec.iw)
    y = conv2d(x, layer.weight.reshape(spec.weight_shape), layer.bias, spec)
    return _finish(y, operator.epilogue, inputs[-1])


def _finish(y: Array, epilogue: Epilogue, residual: Array) -> Array:
    if epilogue.residual == "before":
        y = y + residual.reshape(y.shape)
    y = _activate(y, epilogue.activation)
    return y + residual.reshape(y.shape) if epilogue.residual == "after" else y


def _activate(y: Array, activation: Activation | None) -> Array:
    if activation is None:
        return y
    with torch.no_grad():
        made: Array = _ACTIVATIONS[activation.kind](torch.from_numpy(y), *activation.params).numpy()
    return made


def _pool(layer: PoolLayer, x: Array) -> Array:
    spec = layer.spec
    windows = _windows(x, spec, fill=-np.inf if layer.combine == "max" else 0.0)
    if layer.combine == "max":
        return np.asarray(windows.max(axis=0), np.float32)
    # padding that no window touches is no part of the spec's
    counted = tuple(map(min, layer.counted, spec.padding))
    top, left, bottom, right = counted
    ones = np.pad(np.ones((spec.ih, spec.iw), np.float32), ((top, bottom), (left, right)), constant_values=1)
    # what is padded beyond the counted pixels adds nothing to the divisor
    inner = tuple(p - c for p, c in zip(spec.padding, counted, strict=True))
    counts = _windows(ones[None, None], _with_padding(spec, inner, ones.shape), fill=0.0).sum(axis=0)
    divisor = np.full_like(counts, layer.divisor) if layer.divisor is not None else np.maximum(counts, 1)
    return np.asarray(windows.sum(axis=0) / divisor, np.float32)


def _with_padding(spec: ConvSpec, padding: tuple[int, ...], shape: tuple[int, ...]) -> ConvSpec:
    top, left, bottom, right = padding
    return ConvSpec(
        1, 1, shape[0], shape[1], 1, spec.kh, spec.kw, stride=spec.stride, padding=(top, left, bottom, right),
        dilation=spec.dilation,
    )  # fmt: skip


def _windows(x: Array, spec: ConvSpec, *, fill: float) -> NDArray[np.float64]:
    """Every tap's image: ``(taps, n, c, oh, ow)``."""
    top, left, bottom, right = spec.padding
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    (sh, sw), (dh, dw) = spec.stride, spec.dilation
    return np.stack(
        [
            padded[:, :, a * dh : a * dh + sh * (spec.oh - 1) + 1 : sh, b * dw : b * dw + sw * (spec.ow - 1) + 1 : sw]
            for a in range(spec.kh)
            for b in range(spec.kw)
        ]
    )
