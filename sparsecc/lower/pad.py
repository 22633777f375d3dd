"""Padding with the image's own pixels."""

from __future__ import annotations

from collections.abc import Sequence

from sparsecc._tvm import IRModule
from sparsecc.ir.pad import PadLayer
from sparsecc.kernels.pad import PadShape, pad
from sparsecc.lower.cost.stream import pad_cycles
from sparsecc.lower.kernel import Array, Cost, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.site import Site


def opened(site: Site[PadLayer]) -> PadShape:
    """The kernel's shape."""
    operator = site.operator
    n, c, _, _ = operator.shape
    run = operator.run
    return PadShape(n * c, site.source, site.result, run, int(operator.columns[run[0]]))


def lower(site: Site[PadLayer], shape: PadShape, config: None) -> Lowered:
    """Make the kernel."""
    node, operator = site.node, site.operator
    function = pad(shape, lanes=site.target.lanes)
    return Lowered("pad", ("pad", shape), function, (node.inputs[0], operator.rows, operator.columns, node.output), {})


def cost(site: Site[PadLayer], once: Once) -> Cost:
    """Cycles of the kernel."""
    return Cost("pad", rest=pad_cycles(opened(site), site.target))


def reference(operator: PadLayer, _module: IRModule, inputs: Sequence[Array]) -> Array:
    """The padded images."""
    return inputs[0][:, :, operator.rows[:, None], operator.columns]
