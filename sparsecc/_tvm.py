"""The only place that names TVM's moving modules."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import tvm
from tvm import relax, s_tir, te, tirx, topi
from tvm.ir import Call, IRModule, PointerType, PrimType, register_op_attr
from tvm.relax import PyExprMutator
from tvm.relax.expr_functor import mutator as expression_mutator
from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter
from tvm.s_tir import Schedule
from tvm.script.ir_builder import IRBuilder
from tvm.target import codegen
from tvm.tirx import PrimFunc, compilation_pipeline
from tvm.tirx.buffer import is_buffer_var
from tvm.tirx.script.builder import ir as T  # noqa: N812  (TVM's own name for it)
from tvm_ffi import structural_equal, structural_map, structural_walk
from tvm_ffi import structural_hash as structural_hash_of
from tvm_ffi.error import register_error

__all__ = [
    "IMPORTED",
    "TOGETHER",
    "Call",
    "ExportedProgramImporter",
    "IRBuilder",
    "IRModule",
    "PointerType",
    "PrimFunc",
    "PrimType",
    "PyExprMutator",
    "Schedule",
    "T",
    "codegen",
    "compilation_pipeline",
    "expression_mutator",
    "is_buffer_var",
    "meta_schedule",
    "quiet_if_unfinished",
    "relax",
    "rpc",
    "s_tir",
    "structural_equal",
    "structural_hash",
    "structural_map",
    "structural_walk",
    "structurally_equal",
    "te",
    "tirx",
    "topi",
    "tvm",
]

#: attribute of a region that every thread walks; the parallel loops inside it are shared among them
TOGETHER = "pragma_parallel_launch_point"
#: attribute of a region whose value is LLVM code of functions that the region calls, which become part of it
IMPORTED = "pragma_import_llvm"
_TENSOR_INSTRUCTIONS = "tvm.s_tir.tensor_intrin"


@contextlib.contextmanager
def quiet_if_unfinished(builder: relax.BlockBuilder) -> Iterator[None]:
    """End the block that an error leaves open in a function's builder: TVM would warn of it on stderr, much later."""
    try:
        yield
    except BaseException:
        builder._end_block()
        raise


def structural_hash(func: PrimFunc) -> str:
    """16 hexadecimal digits that are equal for functions of equal structure, whatever their names."""
    return f"{structural_hash_of(func.without_attr('global_symbol'), map_free_vars=True) & (1 << 64) - 1:016x}"


def structurally_equal(one: PrimFunc, other: PrimFunc) -> bool:
    """Whether functions are of equal structure, whatever their names."""
    return bool(structural_equal(*(f.without_attr("global_symbol") for f in (one, other)), map_free_vars=True))


@contextlib.contextmanager
def meta_schedule() -> Iterator[Any]:
    """TVM's search over schedules; make its contexts inside.

    They import the tensor instructions of all GPUs, which takes 80 seconds to parse and is of no use here: an empty
    module stands in for them until the end, unless somebody has imported them.
    """
    from tvm.s_tir import meta_schedule as package

    empty = types.ModuleType(_TENSOR_INSTRUCTIONS)
    found = sys.modules.setdefault(_TENSOR_INSTRUCTIONS, empty)
    try:
        yield package
    finally:
        if found is empty:
            del sys.modules[_TENSOR_INSTRUCTIONS]


def rpc() -> Any:
    """TVM's RPC package: only a tuner needs it, and what it needs is installed with the tuner."""
    import tvm.rpc

    return tvm.rpc


# what a Python function raises that TVM calls comes back as a RuntimeError, unless TVM knows it by name
register_error("KeyboardInterrupt", KeyboardInterrupt)
register_error("SystemExit", SystemExit)

# it becomes one comparison of vectors, but TVM's vectorizer does not know that, and writes a loop over the lanes
register_op_attr("tirx.isnan", "TVectorizable", True)
