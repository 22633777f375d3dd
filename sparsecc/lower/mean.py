"""Global average pooling."""

from __future__ import annotations

from sparsecc.ir.layer import MeanLayer
from sparsecc.kernels.mean import MeanShape, mean
from sparsecc.lower.cost.stream import mean_cycles
from sparsecc.lower.kernel import Cost, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.site import Site


def opened(site: Site[MeanLayer]) -> MeanShape:
    """The kernel's shape."""
    return MeanShape(site.operator.n * site.operator.c, site.source, site.dtype)


def lower(site: Site[MeanLayer], shape: MeanShape, config: None) -> Lowered:
    """Make the kernel."""
    node, function = site.node, mean(shape, lanes=site.target.lanes)
    return Lowered("mean", ("mean", shape), function, (node.inputs[0], node.output), {})


def cost(site: Site[MeanLayer], once: Once) -> Cost:
    """Cycles of the kernel."""
    return Cost("mean", rest=mean_cycles(opened(site), site.target))
