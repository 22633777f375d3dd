"""Depthwise convolutions of codes: a row of the table of kernels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.quantized import QuantizedConv
from sparsecc.kernels.int8.depthwise import QuantWindow, int8_depthwise, spec_count, steps_of
from sparsecc.kernels.int8.shape import QuantShape, parameters
from sparsecc.lower.int8.conv import layouts_of
from sparsecc.lower.int8.options import instructions_of
from sparsecc.lower.kernel import Cost, Knobs, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.numbers import quant_window_numbers
from sparsecc.lower.site import Site

#: rows of a result in registers
_ROWS = (4, 5, 6, 7, 8)
#: cycles of a vector: to load a row of bytes, to multiply it, to store a row of codes; of a row that is copied
_LOAD, _DOT, _STORE, _COPY = 2.0, 0.5, 5.0, 4.0


def opened(site: Site[QuantizedConv]) -> QuantShape:
    """The kernel's shape."""
    operator, (source, result) = site.operator, layouts_of(site)
    by, channels = instructions_of(site.target), operator.spec.oc
    return counted(QuantShape(operator.spec, source, operator.source, result, by, channels, 1, 0, 1, 1, True, False))


def counted(shape: QuantShape) -> QuantShape:
    """The same with as many groups as its weights have."""
    return replace(shape, count=spec_count(shape))


def key(site: Site[QuantizedConv], shape: QuantShape) -> LayerKey:
    """What records call it."""
    return LayerKey(
        kind="qdepthwise", spec=shape.spec, block_n=1, density=100, pattern="none", scattered=False,
        epilogue=str(site.operator), pitch=(shape.source.pitch, shape.result.layout.pitch), combine="weighted",
        adds_residual=shape.result.residual is not None,
    )  # fmt: skip


def default(site: Site[QuantizedConv], shape: QuantShape) -> QuantWindow:
    """The config with the fewest predicted cycles."""
    return min(space(site, shape), key=lambda config: predict(shape, config))


def space(site: Site[QuantizedConv], shape: QuantShape) -> Iterator[QuantWindow]:
    """Every legal config."""
    return configs(shape)


def configs(shape: QuantShape) -> Iterator[QuantWindow]:
    """The same of a known shape."""
    return (QuantWindow(rows) for rows in sorted({min(rows, shape.spec.oh) for rows in _ROWS}))


def cycles(site: Site[QuantizedConv], shape: QuantShape, config: QuantWindow) -> float:
    """What the cost model predicts."""
    return predict(shape, config)


def predict(shape: QuantShape, config: QuantWindow) -> float:
    """Cycles of a kernel."""
    spec, lanes = shape.spec, shape.instructions.lanes
    steps, vectors = steps_of(spec.kw, shape.instructions), -(-spec.ow // lanes)
    total = 0.0
    for rows, count in ((config.rows, spec.oh // config.rows), (spec.oh % config.rows, bool(spec.oh % config.rows))):
        read = (rows - 1) * spec.stride[0] + spec.dilation[0] * (spec.kh - 1) + 1
        total += count * (read * steps * _LOAD + rows * spec.kh * steps * _DOT + rows * _STORE)
    return spec.n * spec.oc * (total * vectors + spec.ih * _COPY)


def lower(site: Site[QuantizedConv], shape: QuantShape, config: QuantWindow) -> Lowered:
    """Pack the weights, and make the kernel."""
    operator, node = site.operator, site.node
    values: dict[str, int | NDArray[Any]] = {
        **constants(operator, shape),
        "input": node.inputs[0], "residual": node.inputs[-1], "output": node.output,
    }  # fmt: skip
    arguments = tuple(values[name] for name, _ in parameters(shape))
    identity = (config.name, shape, config)
    return Lowered(config.name, identity, int8_depthwise(shape, config), arguments, config.knobs())


def constants(operator: QuantizedConv, shape: QuantShape) -> dict[str, NDArray[Any]]:
    """Constant arguments by parameter."""
    sums = -shape.zero * operator.weight.sum(axis=(1, 2, 3), dtype=np.int64)
    return {
        "weights": _weights(operator.weight, shape),
        "sums": sums.astype(np.int32),
        "factors": operator.factors,
        "biases": operator.offsets,
    }


def _weights(weight: NDArray[np.int8], shape: QuantShape) -> NDArray[Any]:
    """Weights as ``[channel][row of the window][group of taps]``, as many as the kernel has room for."""
    spec, by = shape.spec, shape.instructions
    packed = np.zeros((spec.oc, spec.kh, steps_of(spec.kw, by) * by.group), np.int8)
    packed[:, :, : spec.kw] = weight[:, 0]
    room = np.zeros(shape.count * spec.taps, by.dtype)
    elements = (packed if by.group == 4 else packed.astype(np.int16)).reshape(-1).view(by.dtype)
    room[: elements.size] = elements
    return room


def cost(site: Site[QuantizedConv], once: Once) -> Cost:
    """Cycles of the kernel that would be chosen."""
    shape = opened(site)
    return Cost("int8 window", windows=predict(shape, default(site, shape)))


KNOBS = Knobs(key, default, space, cycles, numbers=quant_window_numbers, stored={"int8_window": QuantWindow.read})
