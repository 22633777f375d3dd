"""Lower what is left of Relax' operators to PrimFuncs and fuse those among themselves."""

from __future__ import annotations

from sparsecc._tvm import IRModule, relax, tvm

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
        return passes(module)
