"""Generic operators as their schedule sees them: made, scheduled, built for this machine and run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from helpers import RUNNABLE, Array, Shape

from sparsecc._codegen import PIPELINE
from sparsecc._tvm import IRModule, PrimFunc, relax, structural_walk, tirx, tvm
from sparsecc.kernels.generic.recipe import schedule_generic
from sparsecc.rewrite.legalize import legalize
from sparsecc.target import TARGETS

#: floats of a vector -> a target of this machine that runs code for it
LANES = {4: "x86-64-v3", **{TARGETS[name].lanes: name for name in RUNNABLE}}
Operator = Callable[..., Any]


def operator(make: Operator, shapes: Sequence[Shape]) -> PrimFunc:
    """What Relax makes of an operator on float32 tensors: one function, not yet scheduled."""
    builder = relax.BlockBuilder()
    inputs = [relax.Var(f"x{i}", relax.TensorType(shape, "float32")) for i, shape in enumerate(shapes)]
    with builder.function("main", inputs):
        with builder.dataflow():
            result = builder.emit_output(builder.normalize(make(*inputs)))
        builder.emit_func_output(result)
    return only_function(builder.get())


def only_function(module: IRModule) -> PrimFunc:
    """The one kernel of a Relax module."""
    (function,) = (f for f in legalize(module).functions.values() if isinstance(f, PrimFunc))
    return function


def run(function: PrimFunc, inputs: Sequence[Array], *, lanes: int) -> tuple[Array, PrimFunc]:
    """A function's result, and its schedule."""
    scheduled = schedule_generic(function, lanes=lanes)
    return call(scheduled, inputs, TARGETS[LANES[lanes]].llvm), scheduled


def call(scheduled: PrimFunc, inputs: Sequence[Array], llvm: Any) -> Array:
    """Build and call; the result is the last parameter."""
    module = IRModule({"main": scheduled.with_attr("global_symbol", "called")})
    built = tirx.build(module, target=tvm.target.Target(dict(llvm)), pipeline=PIPELINE)
    result = scheduled.params[-1].ty
    room = np.full([int(extent) for extent in result.shape], np.nan, str(result.dtype.dtype))
    tensors = [tvm.runtime.tensor(x) for x in (*inputs, room)]
    built["called"](*tensors)
    return np.asarray(tensors[-1].numpy())


def kinds(statement: Any) -> set[int]:
    """Kinds of the loops in a statement: serial 0, parallel 1, vectorized 2, unrolled 3."""
    found: set[int] = set()
    structural_walk(statement, (tirx.For, lambda loop: found.add(int(loop.kind))))
    return found


def nests(function: PrimFunc) -> list[Any]:
    """Top loops of a function."""
    body = function.body.block.body
    return list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]
