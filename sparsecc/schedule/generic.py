"""Recipe of everything that has no kernel of its own: elementwise chains, moved pixels, small reductions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparsecc._tvm import PrimFunc, Schedule, structural_map, tirx
from sparsecc.facts.layout import PlaneLayout

#: below this many results a second thread costs more than it helps
_PARALLEL_FROM = 4096


def with_layouts(func: PrimFunc, layouts: Sequence[PlaneLayout | None]) -> PrimFunc:
    """Give buffer parameters the strides of their layouts.

    Before::

        def f(x: Buffer((1, 16, 25, 41)))

    After::

        def f(x: Buffer((1, 16, 25, 41), strides=(17600, 1100, 42, 1), elem_offset=48))
    """
    renamed: dict[Any, Any] = {}
    for param, layout in zip(func.params, layouts, strict=True):
        if layout is None or layout.is_plain:
            continue
        shape = param.ty.shape
        strides = [int(shape[1]) * layout.channel, layout.channel, layout.pitch, 1]
        renamed[param] = tirx.decl_buffer(shape, "float32", param.name, strides=strides, elem_offset=layout.lead)
    if not renamed:
        return func
    return structural_map(func, (tirx.Var, lambda var: renamed.get(var, var)))


def schedule_generic(func: PrimFunc, *, lanes: int) -> PrimFunc:
    """Inline what can be inlined, then vectorize the innermost loop and run the outer ones in parallel.

    Before::

        for n, c, h, w: a = x * gate
        for n, c, h, w: y = relu(a)

    After::

        parallel n * c * h:
            for w / lanes: vector lane: y = relu(x * gate)
            vector rest of w: y = relu(x * gate)

    A reduction's loops go between the outer and the vectorized one, so that every lane is a sum of its own.
    """
    schedule = Schedule(func)
    for block in schedule.get_child_blocks(schedule.get_sblock("root"))[:-1]:
        if _is_injective(schedule, block):
            schedule.compute_inline(block)
    images_agree = _images_agree(schedule)
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        _schedule_block(schedule, block, lanes=lanes, images_agree=images_agree)
    return schedule.mod["main"]


def _is_injective(schedule: Schedule, block: Any) -> bool:
    node = schedule.get(block)
    return node.init is None and all(int(var.iter_type) == 0 for var in node.iter_vars) and _is_leaf(schedule, block)


def _is_leaf(schedule: Schedule, block: Any) -> bool:
    return not schedule.get_child_blocks(block)


def _schedule_block(schedule: Schedule, block: Any, *, lanes: int, images_agree: bool) -> None:
    loops = schedule.get_loops(block)
    if not loops:
        return
    kinds = [int(var.iter_type) for var in schedule.get(block).iter_vars]
    if not _is_leaf(schedule, block) or len(kinds) != len(loops):
        schedule.parallel(schedule.fuse(*loops[:-1]) if len(loops) > 1 else loops[0])
        return
    spatial = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == 0]
    reduced = [loop for loop, kind in zip(loops, kinds, strict=True) if kind != 0]
    if not spatial:
        return
    if not reduced and images_agree and len(spatial) == 4:
        spatial = [*spatial[:2], schedule.fuse(*spatial[2:])]
        while len(spatial) > 1 and _extent(schedule, spatial[-1]) == 1:
            spatial = [*spatial[:-2], schedule.fuse(*spatial[-2:])]
    inner = spatial[-1]
    if reduced:
        schedule.reorder(*spatial[:-1], *reduced, inner)
    total = 1
    for loop in spatial:
        total *= _extent(schedule, loop)
    if len(spatial) == 1 and not reduced and _extent(schedule, inner) > lanes:
        outer, inner = schedule.split(inner, [None, _chunk(_extent(schedule, inner), lanes)])
        spatial = [outer, inner]
    _vectorize(schedule, inner, lanes=lanes)
    if reduced:
        schedule.decompose_reduction(block, reduced[0])
    if len(spatial) > 1 and total >= _PARALLEL_FROM:
        schedule.parallel(schedule.fuse(*spatial[:-1]))


def _vectorize(schedule: Schedule, loop: Any, *, lanes: int) -> None:
    """Vectorize whole vectors, and what is left over as one shorter vector."""
    extent = _extent(schedule, loop)
    if extent <= 2 * lanes:
        schedule.vectorize(loop)
        return
    width = _chunk(extent, lanes)
    if extent % width:
        main, rest = schedule.loop_partition(loop, [extent - extent % lanes, None])
        schedule.vectorize(rest)
        loop, width = main, lanes
    _, lane = schedule.split(loop, [None, width])
    schedule.vectorize(lane)


def _chunk(extent: int, lanes: int) -> int:
    """The widest vector of at least half the lanes that divides ``extent``, or all lanes."""
    return next((width for width in range(lanes, lanes // 2 - 1, -1) if extent % width == 0), lanes)


def _extent(schedule: Schedule, loop: Any) -> int:
    return int(schedule.get(loop).extent)


def _images_agree(schedule: Schedule) -> bool:
    """True when rows and columns of all tensors may be walked as one: equal images without gaps between rows."""
    sizes = set()
    for param in schedule.mod["main"].params:
        shape = [int(extent) for extent in param.ty.shape]
        if len(shape) < 3 or shape[-2:] == [1, 1]:
            continue
        if len(shape) != 4 or (len(param.ty.strides) and int(param.ty.strides[2]) != shape[3]):
            return False
        sizes.add((shape[2], shape[3]))
    return len(sizes) == 1
