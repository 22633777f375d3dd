"""Convolutions, by the direct kernel or with channels as the vector."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from numpy.typing import NDArray

from sparsecc.ir.graph import FusedConv
from sparsecc.ir.indices import OFFSET
from sparsecc.ir.layer_key import LayerKey
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.winograd import Tiling
from sparsecc.kernels.channel_lanes import LaneConfig, channel_lanes
from sparsecc.kernels.direct_schedule import schedule_direct
from sparsecc.kernels.direct_shape import DirectConfig, argument_names
from sparsecc.kernels.store import StoreShape
from sparsecc.lower.config import ConvConfig
from sparsecc.lower.cost.direct import DirectWork
from sparsecc.lower.cost.winograd import product_cycles
from sparsecc.lower.direct import DirectOptions, direct_options, direct_works
from sparsecc.lower.kernel import Cost, Knobs, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.numbers import conv_numbers
from sparsecc.lower.pack_direct import pack_direct
from sparsecc.lower.site import Site, mask_of
from sparsecc.target import Target


def opened(site: Site[FusedConv]) -> DirectOptions:
    """What is open for a convolution, sparse or dense as planned."""
    operator = site.operator
    return direct_options(operator, site.plan, site.store(operator.epilogue), site.source, site.target)


def key(site: Site[FusedConv], options: DirectOptions) -> LayerKey:
    """What records call it."""
    return options.key("conv")


def default(site: Site[FusedConv], options: DirectOptions) -> ConvConfig:
    """The cost model's config."""
    return options.default()


def space(site: Site[FusedConv], options: DirectOptions) -> tuple[ConvConfig, ...]:
    """Every legal config."""
    return options.space()


def cycles(site: Site[FusedConv], options: DirectOptions, config: ConvConfig) -> float:
    """What the cost model predicts."""
    return options.predict(config)


def lower(site: Site[FusedConv], options: DirectOptions, config: ConvConfig) -> Lowered:
    """Pack the weights, and make the kernel."""
    node, packed = site.node, pack_direct(options, config)
    values: dict[str, int | NDArray[Any]] = {
        **packed.constants,
        "input": node.inputs[0],
        "mask": mask_of(options.store),
        "residual": node.inputs[-1],
        "output": node.output,
    }
    arguments = tuple(values[name] for name in argument_names(packed.shape))
    kernel, shape = config.kernel, packed.shape
    function = config.by_kernel(partial(schedule_direct, shape), partial(channel_lanes, shape))
    return Lowered(
        kernel.name, (kernel.name, shape, kernel), function, arguments, kernel.knobs(), options.predict(config)
    )


def cost(site: Site[FusedConv], once: Once) -> Cost:
    """Cycles of the best config; of Winograd's products, those that their tiles were chosen by."""
    operator, plan, source = site.operator, site.plan, site.source
    store, kept = site.store(operator.epilogue), plan.computed
    by_tap, product = kept is not None and kept.by_tap, kept is not None and plan.tile is not None
    works = direct_works(operator.spec, kept, store, source, by_tap=by_tap, product=product)
    _, cycles = best(once, operator, works, store, source, site.target)
    if plan.tile is not None:
        return Cost(
            "winograd", convolution=product_cycles(Tiling(plan.spec, plan.tile), plan.kept, site.target), chosen=cycles
        )
    return Cost("conv", convolution=cycles, chosen=cycles)


def best(
    once: Once,
    operator: FusedConv,
    works: Mapping[int, DirectWork],
    store: StoreShape,
    source: PlaneLayout,
    target: Target,
) -> tuple[ConvConfig, float]:
    """The config that the compiler chooses for a convolution in its place in the network, and its cycles."""

    def find() -> tuple[ConvConfig, float]:
        options = DirectOptions(operator, store, source, target, None, OFFSET, works)
        config = options.default()
        return config, options.predict(config)

    return once(("direct", operator.spec, tuple(works.items())), find)


#: what is open in a convolution
KNOBS = Knobs(
    key, default, space, cycles, numbers=conv_numbers,
    stored={"direct": partial(ConvConfig.of, DirectConfig), "channel_lanes": partial(ConvConfig.of, LaneConfig)},
)  # fmt: skip
