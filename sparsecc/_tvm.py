"""The only place that names TVM's moving modules, and how its code generator is made to emit a raw C ABI.

TVM's own calling convention packs arguments and needs its runtime library. Kernels built here are plain C functions
``int32_t name(void *, ...)``: buffers become pointers before the pipeline runs, and the pass that would pack them
skips functions whose calling convention is already set.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tvm
from tvm import relax, s_tir, te, tirx, topi
from tvm.ir import IRModule, PointerType, PrimType
from tvm.relax import PyExprMutator
from tvm.relax.expr_functor import mutator as expression_mutator
from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter
from tvm.s_tir import Schedule
from tvm.script.ir_builder import IRBuilder
from tvm.tirx import PrimFunc, compilation_pipeline
from tvm.tirx.buffer import is_buffer_var
from tvm.tirx.script.builder import ir as T  # noqa: N812  (TVM's own name for it)
from tvm_ffi import structural_equal, structural_map, structural_walk
from tvm_ffi import structural_hash as structural_hash_of
from tvm_ffi.error import register_error

__all__ = [
    "IMPORTED",
    "PIPELINE",
    "TOGETHER",
    "ExportedProgramImporter",
    "IRBuilder",
    "IRModule",
    "PrimFunc",
    "PyExprMutator",
    "Schedule",
    "T",
    "compile_object",
    "evaluate",
    "export_kernels",
    "expression_mutator",
    "meta_schedule",
    "quiet_if_unfinished",
    "relax",
    "rpc",
    "s_tir",
    "structural_equal",
    "structural_hash",
    "structural_map",
    "structural_walk",
    "te",
    "tirx",
    "topi",
    "tvm",
]

PIPELINE = "sparsecc"
#: calling_conv of a function that TVM's packing pass leaves alone (anything but 0)
_C_CALL = 2
#: attribute of a region that every thread walks; the parallel loops inside it are shared among them
TOGETHER = "pragma_parallel_launch_point"
#: attribute of a region whose value is LLVM code of functions that the region calls, which become part of it
IMPORTED = "pragma_import_llvm"
#: allocations up to this size stay on the stack; larger ones are scratch planes
_STACK_BYTES = 4096


def compile_object(functions: Mapping[str, PrimFunc], llvm: Mapping[str, object]) -> tuple[bytes, str]:
    """Compile kernels to one relocatable object.

    Parameters
    ----------
    functions : mapping of str to PrimFunc
        C symbol -> scheduled kernel.
    llvm : mapping
        Target description for TVM's LLVM back end.

    Returns
    -------
    tuple
        The object file and its assembly listing.
    """
    module = IRModule({name: _with_pointers(f).with_attr("global_symbol", name) for name, f in functions.items()})
    built = tirx.build(module, target=tvm.target.Target(dict(llvm)), pipeline=PIPELINE)
    # to memory: LLVM ends the whole process where a disk is full
    with open(os.memfd_create("kernels.o"), "rb") as file:
        built.write_to_file(f"/proc/self/fd/{file.fileno()}", "o")
        return file.read(), str(built.inspect_source("s"))


@contextlib.contextmanager
def quiet_if_unfinished(builder: relax.BlockBuilder) -> Iterator[None]:
    """End the block that an error leaves open in a function's builder: TVM would warn of it on stderr, much later."""
    try:
        yield
    except BaseException:
        builder._end_block()
        raise


def export_kernels(
    functions: Sequence[PrimFunc], llvm: Mapping[str, object], out: Path, *, link: Callable[[Sequence[str]], None]
) -> None:
    """Compile kernels to a shared library with TVM's own calling convention, for its RPC servers.

    Parameters
    ----------
    functions : sequence of PrimFunc
        Scheduled kernels; they become ``candidate_0``, ``candidate_1``, ...
    llvm : mapping
        Target description for TVM's LLVM back end.
    out : Path
    link : callable
        Runs the C compiler with arguments.
    """
    named = {f"candidate_{i}": f.with_attr("global_symbol", f"candidate_{i}") for i, f in enumerate(functions)}
    built = tirx.build(IRModule(named), target=tvm.target.Target(dict(llvm)), pipeline=PIPELINE)

    def compile_shared(path: str, objects: Sequence[str], **_options: Any) -> None:
        link(["-shared", "-fPIC", "-o", path, *objects])

    built.export_library(str(out), fcompile=compile_shared, workspace_dir=str(out.parent))


def structural_hash(func: PrimFunc) -> str:
    """16 hexadecimal digits that are equal for functions of equal structure, whatever their names."""
    return f"{structural_hash_of(func.without_attr('global_symbol'), map_free_vars=True) & (1 << 64) - 1:016x}"


def evaluate(func: PrimFunc, arguments: Sequence[Any]) -> None:
    """Compile an unscheduled function for this machine and call it; it writes the last one of NumPy ``arguments``."""
    module = IRModule({"evaluated": func.with_attr("global_symbol", "evaluated")})
    tensors = [tvm.runtime.tensor(argument) for argument in arguments]
    tirx.build(module, target=tvm.target.Target("llvm"), pipeline=PIPELINE)["evaluated"](*tensors)
    arguments[-1][...] = tensors[-1].numpy()


def meta_schedule() -> Any:
    """TVM's search over schedules.

    Its contexts import the tensor instructions of all GPUs, which takes 80 seconds to parse and is of no use here: an
    empty module stands in for them.
    """
    import sys
    import types

    from tvm.s_tir import meta_schedule as package

    sys.modules.setdefault("tvm.s_tir.tensor_intrin", types.ModuleType("tvm.s_tir.tensor_intrin"))
    return package


def rpc() -> Any:
    """TVM's RPC package: only a tuner needs it, and what it needs is installed with the tuner."""
    import tvm.rpc

    return tvm.rpc


def _with_pointers(func: PrimFunc) -> PrimFunc:
    """Replace buffer parameters by raw pointers: ``f(X: Buffer)`` becomes ``f(X_ptr) { X = Buffer(X_ptr); ... }``."""
    params, declared = [], []
    for p in func.params:
        if is_buffer_var(p):
            pointer = tirx.Var(p.name + "_ptr", PointerType(PrimType(str(p.ty.dtype.dtype))))
            params.append(pointer)
            declared.append(tirx.DeclBuffer(p, data=pointer))
        else:
            params.append(p)
    body = tirx.SeqStmt([*declared, func.body])
    raw = PrimFunc(params, body, ret_type=PrimType("int32"), attrs=func.attrs)
    return raw.with_attr("calling_conv", _C_CALL)


@tvm.transform.module_pass(opt_level=0, name="sparsecc.DeviceScope")  # type: ignore[untyped-decorator]
def _device_scope(module: IRModule, _context: Any) -> IRModule:
    """Name the device around each body, which the lowering of allocations asks for."""

    def wrap(func: PrimFunc) -> PrimFunc:
        body = tirx.AttrStmt("default", "device_type", tirx.const(1, "int32"), func.body)
        return func.with_body(tirx.AttrStmt("default", "device_id", tirx.const(0, "int32"), body))

    return IRModule({gv: wrap(f) for gv, f in module.functions.items()}, attrs=module.attrs)


@tvm.transform.module_pass(opt_level=0, name="sparsecc.StackAccumulators")  # type: ignore[untyped-decorator]
def _stack_accumulators(module: IRModule, _context: Any) -> IRModule:
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
def _private_scratch(module: IRModule, _context: Any) -> IRModule:
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


@tvm.transform.module_pass(opt_level=0, name="sparsecc.ExactExtremes")  # type: ignore[untyped-decorator]
def _exact_extremes(module: IRModule, _context: Any) -> IRModule:
    """Maxima and minima of float32 as choices that keep a NaN of either side.

    The last pass, as TVM's simplifier takes minutes for choices within choices::

        max(x, 0)    ->    0 if x < 0 else x                                    one instruction on x86
        max(x, y)    ->    y if y > x else (x if x >= y else x + y)
    """

    def exact(node: Any, is_beyond: Callable[[Any, Any], Any], reaches: Callable[[Any, Any], Any]) -> Any:
        x, y = node.a, node.b
        if not str(node.ty.dtype).startswith("float32"):
            return node
        if isinstance(y.value if isinstance(y, tirx.Broadcast) else y, tirx.FloatImm):
            return tirx.Select(is_beyond(y, x), y, x)
        return tirx.Select(is_beyond(y, x), y, tirx.Select(reaches(x, y), x, x + y))

    rules = [
        (tirx.Max, lambda node: exact(node, tirx.GT, tirx.GE)),
        (tirx.Min, lambda node: exact(node, tirx.LT, tirx.LE)),
    ]
    return IRModule({gv: structural_map(f, rules) for gv, f in module.functions.items()}, attrs=module.attrs)


def _pipeline() -> tuple[Any, Callable[[], Any], Any]:
    passes, _host, device = compilation_pipeline.get_tir_pipeline("s_tir")

    def host() -> Any:
        lower = tirx.transform
        return tvm.transform.Sequential(
            [
                _device_scope,
                _stack_accumulators,
                _private_scratch,
                lower.LowerTVMBuiltin(),
                lower.LowerIntrin(),
                _exact_extremes,
            ]
        )

    return passes, host, device


compilation_pipeline.register_tir_pipeline(PIPELINE, _pipeline)
# what a Python function raises that TVM calls comes back as a RuntimeError, unless TVM knows it by name
register_error("KeyboardInterrupt", KeyboardInterrupt)
register_error("SystemExit", SystemExit)
