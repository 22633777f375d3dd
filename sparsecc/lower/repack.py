"""Copies to another layout."""

from __future__ import annotations

from sparsecc.ir.placed import Repack
from sparsecc.kernels.repack import RepackShape, repack
from sparsecc.lower.cost.stream import repack_cycles
from sparsecc.lower.kernel import Cost, Once
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.site import Site


def opened(site: Site[Repack]) -> RepackShape:
    """The kernel's shape."""
    n, c = site.placed.shapes[site.node.output][:2]
    kind = site.placed.type_of(site.node.output)
    rows, lanes = site.operator.rows, site.target.lanes
    return RepackShape(n * c, site.source, site.result, rows, fill=kind.value, lanes=lanes, dtype=kind.dtype)


def lower(site: Site[Repack], shape: RepackShape, config: None) -> Lowered:
    """Make the kernel."""
    node = site.node
    return Lowered("repack", ("repack", shape), repack(shape), (node.inputs[0], node.output), {})


def cost(site: Site[Repack], once: Once) -> Cost:
    """Cycles of the kernel."""
    return Cost("repack", rest=repack_cycles(opened(site), site.target))
