"""Convolutions and linear layers of codes: rows of the table of kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import PrimFunc
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.layout import PlaneLayout, plain
from sparsecc.ir.quantized import QuantizedConv
from sparsecc.kernels.int8.lanes import int8_lanes
from sparsecc.kernels.int8.pixels import int8_pixels
from sparsecc.kernels.int8.registers import int8_registers
from sparsecc.kernels.int8.shape import QuantLanes, QuantPixels, QuantShape, Result, parameters
from sparsecc.lower.int8.options import QuantConfig, QuantOptions
from sparsecc.lower.int8.pack import pack_offsets, pack_weights
from sparsecc.lower.kernel import Cost, Knobs, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.numbers import quant_numbers
from sparsecc.lower.site import Site


def opened(site: Site[QuantizedConv]) -> QuantOptions:
    """What is open for a layer, sparse or dense as planned."""
    computed = site.plan.computed
    grouping = None if computed is None else computed.grouping
    source, result = layouts_of(site)
    return QuantOptions(site.operator, source, result, site.target, grouping)


def layouts_of(site: Site[QuantizedConv]) -> tuple[PlaneLayout, Result]:
    """Where a node's tensors lie; one that is no image is a number a channel.

    So are those of a linear layer, whatever their axes: its rows may be the rows of images.
    """
    operator, tensors = site.operator, (*site.node.inputs, site.node.output)
    found = [site.placed.layouts[tensor] if operator.planes else None for tensor in tensors]
    source, *added, result = [layout or plain(1, 1) for layout in found]
    residual = added[0] if operator.residual is not None else None
    made = Result(
        result, operator.result, operator.low, operator.high, operator.activation, operator.residual, residual
    )
    return source, made


def key(site: Site[QuantizedConv], options: QuantOptions) -> LayerKey:
    """What records call it."""
    return options.key("qconv")


def default(site: Site[QuantizedConv], options: QuantOptions) -> QuantConfig:
    """The cost model's config."""
    return options.default()


def space(site: Site[QuantizedConv], options: QuantOptions) -> Iterator[QuantConfig]:
    """Every legal config."""
    return options.space()


def cycles(site: Site[QuantizedConv], options: QuantOptions, config: QuantConfig) -> float:
    """What the cost model predicts."""
    return options.predict(config)


def lower(site: Site[QuantizedConv], options: QuantOptions, config: QuantConfig) -> Lowered:
    """Pack the weights, and make the kernel."""
    shape, constants = packed(options, config)
    node = site.node
    values: dict[str, int | NDArray[Any]] = {
        **constants, "input": node.inputs[0], "residual": node.inputs[-1], "output": node.output,
    }  # fmt: skip
    arguments = tuple(values[name] for name, _ in parameters(shape))
    function = function_of(shape, config)
    identity = (config.name, shape, config)
    return Lowered(config.name, identity, function, arguments, config.knobs(), options.predict(config))


def function_of(shape: QuantShape, config: QuantConfig) -> PrimFunc:
    """The kernel that a config is for."""

    def with_pixels(own: QuantPixels) -> PrimFunc:
        return int8_pixels(shape, own) if own.band else int8_registers(shape, own)

    return config.by_kernel(lambda own: int8_lanes(shape, own), with_pixels)


def packed(options: QuantOptions, config: QuantConfig) -> tuple[QuantShape, dict[str, NDArray[Any]]]:
    """The kernel's shape, and its constants by parameter."""
    operator, shape = options.operator, options.shape(config.block_n)
    blocks, groups = options.packed(config.block_n)
    together = config.by_kernel(lambda lanes: lanes.vectors * options.by.lanes, lambda pixels: pixels.reg_n)
    slots = blocks.oc_perm
    sums = -shape.zero * operator.weight.sum(axis=(1, 2, 3), dtype=np.int64)
    return shape, {
        "weights": pack_weights(groups, options.by, together=together),
        "sums": sums.astype(np.int32)[slots],
        "factors": operator.factors[slots],
        "biases": operator.offsets[slots],
        "offsets": pack_offsets(groups, options.source, name=operator.name),
        "indptr": groups.indptr,
        "channels": slots.astype(np.int32),
    }


def cost(site: Site[QuantizedConv], once: Once) -> Cost:
    """Cycles of the kernel that would be chosen."""
    options = opened(site)
    found = options.predict(options.default())
    return Cost("int8", convolution=found, chosen=found)


KNOBS: Knobs[QuantOptions, QuantConfig] = Knobs(
    key, default, space, cycles, numbers=quant_numbers,
    stored={"int8_lanes": QuantLanes.read, "int8_pixels": QuantPixels.read},
)  # fmt: skip
