"""Recipe of everything that has no kernel of its own: elementwise chains, moved pixels, small reductions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from sparsecc._tvm import PrimFunc, Schedule, s_tir, structural_map, tirx
from sparsecc.ir.layout import PlaneLayout
from sparsecc.kernels.generic.extremes import exact_extremes
from sparsecc.kernels.generic.kept import Kept, find_kept, is_worth_keeping
from sparsecc.kernels.generic.loops import Loop, group, loads
from sparsecc.kernels.generic.reduce import PARALLEL_RESULTS, emit_reduction
from sparsecc.kernels.generic.reduction import read_reduction


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
        renamed[param] = tirx.decl_buffer(
            shape, param.ty.dtype.dtype, param.name, strides=strides, elem_offset=layout.lead
        )
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

    Reductions have code of their own, see :mod:`sparsecc.kernels.generic.reduce`; what they share with the result is
    computed once, see :mod:`sparsecc.kernels.generic.kept`.
    """
    schedule = Schedule(func)
    kept = _inline(schedule)
    reductions = {r.name for r in map(read_reduction, _nests(schedule.mod["main"])) if r is not None}
    images_agree = _images_agree(schedule)
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        if kept is not None and schedule.get(block).name_hint == kept.maker:
            continue
        if _is_injective(schedule, block):
            _schedule_injective(schedule, block, lanes=lanes, images_agree=images_agree)
        elif schedule.get(block).name_hint not in reductions:
            _schedule_other(schedule, block)
    return exact_extremes(_with_reductions(schedule.mod["main"], kept, lanes=lanes))


def _inline(schedule: Schedule) -> Kept | None:
    """Inline what can be inlined, all but values that are kept."""
    several = []
    for block in schedule.get_child_blocks(schedule.get_sblock("root"))[:-1]:
        if _is_injective(schedule, block):
            if len(schedule.get_consumers(block)) > 1 and is_worth_keeping(schedule.get(block)):
                several.append(block)
            else:
                schedule.compute_inline(block)
    for block in several[:-1]:
        schedule.compute_inline(block)
    kept = find_kept(_nests(schedule.mod["main"]), schedule.get(several[-1])) if several else None
    if several and kept is None:
        schedule.compute_inline(several[-1])
    return kept


def _is_injective(schedule: Schedule, block: Any) -> bool:
    node = schedule.get(block)
    is_leaf = not schedule.get_child_blocks(block)
    return node.init is None and all(int(var.iter_type) == 0 for var in node.iter_vars) and is_leaf


def _nests(func: PrimFunc) -> list[Any]:
    body = func.body.block.body
    return list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]


def _with_reductions(func: PrimFunc, kept: Kept | None, *, lanes: int) -> PrimFunc:
    """Put code of their own in the place of reductions; everything else is scheduled."""
    root, nests = func.body.block, _nests(func)
    if kept is not None:
        nests = [kept.in_result(nest) for nest in nests if not kept.is_maker(nest)]
    found = [kept.reduction if kept and r and r.name == kept.reduction.name else r for r in map(read_reduction, nests)]
    if not any(found):
        return func
    emitted = [emit_reduction(r, lanes=lanes) if r else nest for nest, r in zip(nests, found, strict=True)]
    body = tirx.SeqStmt(emitted) if len(emitted) > 1 else emitted[0]
    buffers = [buffer for buffer in root.alloc_buffers if kept is None or not buffer.same_as(kept.values)]
    block = s_tir.SBlock([], root.reads, root.writes, root.name_hint, body, alloc_buffers=buffers)
    return func.with_body(s_tir.SBlockRealize([], True, block))


def _schedule_injective(schedule: Schedule, block: Any, *, lanes: int, images_agree: bool) -> None:
    loops = schedule.get_loops(block)
    if not loops:
        return
    if images_agree and len(loops) == 4 and _sums_agree(schedule, block):
        loops = [*loops[:2], schedule.fuse(*loops[2:])]
        while len(loops) > 1 and _extent(schedule, loops[-1]) == 1:
            loops = [*loops[:-2], schedule.fuse(*loops[-2:])]
    elif _extent(schedule, loops[-1]) < lanes:
        loops = _wider(schedule, block, loops)
    *outer, inner = loops
    turns = math.prod(_extent(schedule, loop) for loop in outer)
    total = turns * _extent(schedule, inner)
    vectors = _vectorize(schedule, inner, lanes=lanes)
    if total < PARALLEL_RESULTS:
        return
    if turns > 1:
        schedule.parallel(schedule.fuse(*outer))
    elif vectors is not None:
        schedule.parallel(vectors)


def _wider(schedule: Schedule, block: Any, loops: Sequence[Any]) -> list[Any]:
    """The loops with the innermost ones fused as far as all tensors lie evenly, where those are less than a vector."""
    store = schedule.get(block).body
    joined = _joined(schedule, block, [*loads(store.value), (store.buffer, tuple(store.indices))])
    return [*loops[:-joined], schedule.fuse(*loops[-joined:])] if joined > 1 else list(loops)


def _sums_agree(schedule: Schedule, block: Any) -> bool:
    """True when rows and columns of what other blocks reduced may be walked as one, too."""
    given = list(schedule.mod["main"].params)
    reduced = [access for access in loads(schedule.get(block).body.value) if not any(map(access[0].same_as, given))]
    return not reduced or _joined(schedule, block, reduced) > 1


def _joined(schedule: Schedule, block: Any, accesses: Sequence[tuple[Any, tuple[Any, ...]]]) -> int:
    """Innermost loops that may be walked as one."""
    return len(group([Loop(var.var, var.dom.extent) for var in schedule.get(block).iter_vars], accesses)[-1].loops)


def _schedule_other(schedule: Schedule, block: Any) -> None:
    """Outer loops in parallel: nobody knows what the block computes, so it has no vectors."""
    kinds = [int(var.iter_type) for var in schedule.get(block).iter_vars]
    loops = schedule.get_loops(block)
    spatial = list(itertools.takewhile(lambda loop: kinds[loops.index(loop)] == 0, loops[: len(kinds)]))
    if spatial and math.prod(_extent(schedule, loop) for loop in spatial) > 1:
        schedule.parallel(schedule.fuse(*spatial))


def _vectorize(schedule: Schedule, loop: Any, *, lanes: int) -> Any | None:
    """Vectorize whole vectors, and what is left over as one shorter vector; return the loop over whole ones, if any."""
    extent = _extent(schedule, loop)
    if extent <= 2 * lanes:
        schedule.vectorize(loop)
        return None
    width = _chunk(extent, lanes)
    if extent % width:
        main, rest = schedule.loop_partition(loop, [extent - extent % lanes, None])
        schedule.vectorize(rest)
        loop, width = main, lanes
    outer, lane = schedule.split(loop, [None, width])
    schedule.vectorize(lane)
    return outer


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
