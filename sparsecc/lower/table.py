"""The table of kernels: all that the compiler knows of each, by what operators call it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

from sparsecc._tvm import IRModule
from sparsecc.analyse.layers import LayerPlan
from sparsecc.ir.operator import Operator
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.tensor_type import HALF
from sparsecc.kernels.config import Config
from sparsecc.lower import (
    chain,
    conv,
    generic,
    l2_pool,
    linear,
    mean,
    norm,
    pad,
    quantized,
    reference,
    repack,
    window,
    winograd,
    winograd_conv,
)
from sparsecc.lower.choice import Choice, Choose, Verdict, by_cost_model
from sparsecc.lower.int8 import conv as int8_conv
from sparsecc.lower.int8 import pool as int8_pool
from sparsecc.lower.int8 import window as int8_window
from sparsecc.lower.kernel import Cost, Kernel, Once, Value
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.site import Site
from sparsecc.target import Target

#: :attr:`Operator.kernel <sparsecc.ir.operator.Operator.kernel>` -> how it opens, is lowered, what it costs, what it
#: computes; and its knobs: key, default, space, model, form in records
KERNELS: dict[str, Kernel[Any, Any]] = {
    "conv": Kernel(conv.opened, conv.lower, conv.cost, reference.convolution, conv.KNOBS),
    "linear": Kernel(linear.opened, linear.lower, linear.cost, reference.convolution, linear.KNOBS),
    "depthwise": Kernel(window.opened, window.lower, window.cost, reference.convolution, window.KNOBS),
    "pool": Kernel(window.opened, window.lower, window.cost, reference.pooling, window.KNOBS),
    "l2_pool": Kernel(l2_pool.opened, window.lower, l2_pool.cost, l2_pool.reference, window.KNOBS),
    "chain": Kernel(chain.opened, chain.lower, chain.cost, reference.joined, chain.KNOBS),
    "qconv": Kernel(int8_conv.opened, int8_conv.lower, int8_conv.cost, quantized.reference, int8_conv.KNOBS),
    "qdepthwise": Kernel(
        int8_window.opened, int8_window.lower, int8_window.cost, quantized.reference, int8_window.KNOBS
    ),
    "qlinear": Kernel(int8_conv.opened, int8_conv.lower, int8_conv.cost, quantized.reference, int8_conv.KNOBS),
    "qpool": Kernel(int8_pool.opened, int8_pool.lower, int8_pool.cost, int8_pool.reference),
    "mean": Kernel(mean.opened, mean.lower, mean.cost, reference.mean),
    "norm": Kernel(norm.opened, norm.lower, norm.cost, norm.reference),
    "pad": Kernel(pad.opened, pad.lower, pad.cost, pad.reference),
    "repack": Kernel(repack.opened, repack.lower, repack.cost, reference.copied),
    "winograd_in": Kernel(winograd.input_opened, winograd.input_lower, winograd.input_cost, reference.tiles),
    "winograd_out": Kernel(winograd.output_opened, winograd.output_lower, winograd.output_cost, reference.untiled),
    "winograd_conv": Kernel(winograd_conv.opened, winograd_conv.lower, winograd_conv.cost, reference.few_channels),
    "generic": Kernel(generic.opened, generic.lower, generic.cost, generic.reference, generic.KNOBS),
}


def is_tunable(operator: Operator) -> bool:
    """Whether a search may try configs of its kernel."""
    return bool(operator.kernel) and KERNELS[operator.kernel].knobs is not None


def lower(
    node: PlacedNode,
    placed: Placed,
    module: IRModule,
    plans: Mapping[str, LayerPlan],
    target: Target,
    choose: Choose = by_cost_model,
) -> Lowered:
    """Make the kernel of one node; ``choose`` gives the config of one that has knobs. See :class:`Site`."""
    site: Site[Any] = Site(node, placed, module, plans, _target_of(node, placed, target))
    kernel = KERNELS[node.operator.kernel]
    opened = kernel.opened(site)
    if kernel.knobs is None:
        return kernel.lower(site, opened, None)
    chosen = choose(_choice(kernel, site, opened))
    made = kernel.lower(site, opened, chosen.config)
    return replace(made, why=chosen.why, choice=chosen.choice, packing=chosen.config.packing)


def at_once(key: Hashable, find: Callable[[], Value]) -> Value:
    """Answers every question anew: for who has one kernel to ask about."""
    return find()


def cost(
    node: PlacedNode,
    placed: Placed,
    module: IRModule,
    plans: Mapping[str, LayerPlan],
    target: Target,
    once: Once,
) -> Cost:
    """Predicted cycles of the kernel that a node would get."""
    site: Site[Any] = Site(node, placed, module, plans, _target_of(node, placed, target))
    return KERNELS[node.operator.kernel].cost(site, once)


def _target_of(node: PlacedNode, placed: Placed, target: Target) -> Target:
    """The target as a node's kernel sees it: other operators than ours compute with float32."""
    is_half = placed.type_of(node.output).dtype == HALF and node.operator.kernel != "generic"
    return target.for_half() if is_half else target


def _choice(kernel: Kernel[Any, Any], site: Site[Any], opened: Any) -> Choice:
    """What is open in a kernel, as a question."""
    knobs = kernel.knobs
    assert knobs is not None, "a kernel with knobs"
    key, default = knobs.key(site, opened), knobs.default(site, opened)

    def space() -> tuple[Config, ...]:
        return tuple(dict.fromkeys((default, *knobs.space(site, opened))))

    def legal(config: Config) -> Verdict:
        assert knobs.legal is not None, "a kernel with a check of its own"
        return knobs.legal(site, opened, config) if type(config) is type(default) else Verdict(False)

    return Choice(
        key, default, space, lambda config: knobs.cycles(site, opened, config), legal if knobs.legal else None,
        lambda config: knobs.numbers(config, key, site.target),
    )  # fmt: skip
