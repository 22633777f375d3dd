"""Passes over lowered kernels that TVM's own list lacks. Each shows a function before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sparsecc._tvm import TOGETHER, Call, IRModule, PrimFunc, structural_map, structural_walk, tirx, tvm

#: allocations up to this size stay on the stack; larger ones are scratch planes
_STACK_BYTES = 4096


@tvm.transform.module_pass(opt_level=0, name="sparsecc.DeviceScope")  # type: ignore[untyped-decorator]
def device_scope(module: IRModule, _context: Any) -> IRModule:
    """Name the device around each body, which the lowering of allocations asks for."""

    def wrap(func: PrimFunc) -> PrimFunc:
        body = tirx.AttrStmt("default", "device_type", tirx.const(1, "int32"), func.body)
        return func.with_body(tirx.AttrStmt("default", "device_id", tirx.const(0, "int32"), body))

    return IRModule({gv: wrap(f) for gv, f in module.functions.items()}, attrs=module.attrs)


@tvm.transform.module_pass(opt_level=0, name="sparsecc.StackAccumulators")  # type: ignore[untyped-decorator]
def stack_accumulators(module: IRModule, _context: Any) -> IRModule:
    """Keep allocations of constant size on the stack, where LLVM turns accumulators into registers.

    TVM sends everything from 1024 bytes on to a heap workspace; our accumulators take up to 32 registers of 64 bytes.
    """

    def fix(alloc: Any) -> Any:
        extents = alloc.buffer.ty.shape
        if not all(isinstance(extent, tirx.IntImm) for extent in extents):
            return alloc
        if 4 * math.prod(int(extent) for extent in extents) > _STACK_BYTES:
            return alloc
        return tirx.AllocBuffer(alloc.buffer, {**alloc.annotations, "disable_lower_builtin": tirx.IntImm("int32", 1)})

    functions = {gv: structural_map(f, (tirx.AllocBuffer, fix)) for gv, f in module.functions.items()}
    return IRModule(functions, attrs=module.attrs)


@tvm.transform.module_pass(opt_level=0, name="sparsecc.PrivateScratch")  # type: ignore[untyped-decorator]
def private_scratch(module: IRModule, _context: Any) -> IRModule:
    """Give every thread of a parallel region its own temporaries.

    A region that all threads walk together (:data:`TOGETHER`) has them inside, but TVM moves them out, where threads
    would share them::

        alloc a; together: { ... a ... }    ->    together: { alloc a; ... a ... }
    """

    def fix(sequence: Any) -> Any:
        region = next((s for s in sequence.seq if isinstance(s, tirx.AttrStmt) and s.attr_key == TOGETHER), None)
        own = [statement for statement in sequence.seq if isinstance(statement, tirx.AllocBuffer)]
        if region is None or not own:
            return sequence
        body = region.body.seq if isinstance(region.body, tirx.SeqStmt) else [region.body]
        inside = tirx.AttrStmt(region.node, region.attr_key, region.value, tirx.SeqStmt([*own, *body]))
        rest = [statement for statement in sequence.seq if not isinstance(statement, tirx.AllocBuffer)]
        return tirx.SeqStmt([inside if statement.same_as(region) else statement for statement in rest])

    functions = {gv: structural_map(f, (tirx.SeqStmt, fix)) for gv, f in module.functions.items()}
    return IRModule(functions, attrs=module.attrs)


@tvm.transform.module_pass(opt_level=0, name="sparsecc.StoredValues")  # type: ignore[untyped-decorator]
def stored_values(module: IRModule, _context: Any) -> IRModule:
    """Keep what an expression names on the stack, where LLVM makes registers of it.

    TVM's code generator replaces a name by its value in all that it simplifies: an activation of an activation of an
    activation would be millions of terms. A load is as short as a name::

        y[i] = let t = x[i] in f(t, t)                ->    s = x[i]
                                                            y[i] = f(s, s)

        y[i] = let t = x[i] in f(t, t) if p else 0    ->    if p: s = x[i]; r = f(s, s)
                                                            else: r = 0
                                                            y[i] = r
    """

    def fix(store: Any) -> Any:
        before, value = _unfolded(store.value)
        return _sequence([*before, tirx.BufferStore(store.buffer, value, store.indices)]) if before else store

    return IRModule({gv: structural_map(f, (tirx.BufferStore, fix)) for gv, f in module.functions.items()})


def _unfolded(expression: Any, outer: Mapping[Any, Any] | None = None) -> tuple[list[Any], Any]:
    """Statements that store all that an expression names, and the expression with loads in the names' place."""
    before: list[Any] = []
    loads: dict[Any, Any] = dict(outer or {})

    def on_stack(value: Any) -> tuple[Any, Any]:
        slot = tirx.decl_buffer((1,), str(value.ty.dtype), name="named")
        return slot, tirx.AllocBuffer(slot, {"disable_lower_builtin": tirx.IntImm("int32", 1)})

    def bind(let: Any) -> Any:
        if let.var not in loads:  # one let may be at several places of an expression
            slot, allocation = on_stack(let.value)
            value = unfold(let.value)
            before.extend([allocation, tirx.BufferStore(slot, value, [0])])
            loads[let.var] = tirx.BufferLoad(slot, [0])
        return unfold(let.body)

    def choose(call: Any) -> Any:
        if getattr(call.op, "name", "") != "prim.if_then_else" or not _names_values(call):
            return call
        condition, *sides = call.args
        slot, allocation = on_stack(call)
        branches = [_unfolded(side, loads) for side in sides]
        stored = [_sequence([*own, tirx.BufferStore(slot, value, [0])]) for own, value in branches]
        before.extend([allocation, tirx.IfThenElse(unfold(condition), *stored)])
        return tirx.BufferLoad(slot, [0])

    def unfold(value: Any) -> Any:
        rules = [(tirx.Let, bind), (Call, choose), (tirx.Var, lambda name: loads.get(name, name))]
        return structural_map(value, rules, order="pre")

    value = unfold(expression)
    return before, value


def _sequence(statements: list[Any]) -> Any:
    return tirx.SeqStmt(statements) if len(statements) > 1 else statements[0]


def _names_values(expression: Any) -> bool:
    found: list[Any] = []
    structural_walk(expression, (tirx.Let, found.append))
    return bool(found)
