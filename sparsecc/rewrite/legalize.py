"""Lower what is left of Relax' operators to PrimFuncs and fuse those among themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparsecc._tvm import IRModule, PyExprMutator, expression_mutator, relax, tvm
from sparsecc.rewrite.fuse import is_operator

_PASSES = relax.transform


def legalize(module: IRModule) -> IRModule:
    """Lower and fuse.

    Before::

        a = R.multiply(x, gate)
        b = R.concat((a, y), axis=1)
        r = R.reshape(b, shape)

    After::

        b = call_tir(fused_multiply_concat, (x, gate, y))
        r = R.reshape(b, shape)             # contiguous: no kernel
    """
    passes = tvm.transform.Sequential(
        [
            _PASSES.LegalizeOps(),
            _PASSES.AnnotateTIROpPattern(),
            _PASSES.FuseOps(),
            _PASSES.FuseTIR(),
            _PASSES.DeadCodeElimination(),
            _PASSES.RewriteDataflowReshape(),
        ]
    )
    with tvm.target.Target("llvm"):
        return passes(_Rewrite(module).transform())


@expression_mutator
class _Rewrite(PyExprMutator):  # type: ignore[misc]  # TVM has no types
    """Make a tensor of a zero that something is multiplied by, or that is divided by something.

    TVM takes the result of a number for known, but NaN and infinity times 0 are NaN, and 0 by 0 is::

        a = R.multiply(x, const(0))    ->    a = R.multiply(x, const([0]))
    """

    def __init__(self, module: IRModule) -> None:
        super().__init__(module)
        self._module = module

    def visit_call_(self, call: Any) -> Any:
        call = self.visit_expr_post_order(call)
        multiplied = is_operator(call, "relax.multiply")
        if not multiplied and not is_operator(call, "relax.divide"):
            return call
        zeros = [_is_zero(operand) and (multiplied or place == 0) for place, operand in enumerate(call.args)]
        if not any(zeros):
            return call
        operands = [_row(operand) if zero else operand for operand, zero in zip(call.args, zeros, strict=True)]
        computed = (relax.op.multiply if multiplied else relax.op.divide)(*operands)
        return computed if len(call.ty.shape) else relax.op.reshape(self.builder_.emit(computed), [])

    def transform(self) -> IRModule:
        main = next(gv for gv in self._module.functions if gv.name_hint == "main")
        self.builder_.update_func(main, self.visit_expr(self._module[main]))
        return self.builder_.get()


def _is_zero(operand: Any) -> bool:
    if not isinstance(operand, tvm.ir.GenericConst):
        return False
    value = operand.value.numpy()
    return value.shape == () and value.dtype.kind == "f" and not value.any()


def _row(operand: Any) -> Any:
    return relax.const(np.reshape(operand.value.numpy(), 1))
