"""How TVM's code generator is made to emit a raw C ABI.

TVM's own calling convention packs arguments and needs its runtime library. Kernels built here are plain C functions
``int32_t name(void *, ...)``: buffers become pointers before the pipeline runs, and the pass that would pack them
skips functions whose calling convention is already set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparsecc import _passes
from sparsecc._extremes import exact_extremes
from sparsecc._strided import strided_bytes
from sparsecc._tvm import (
    Call,
    IRModule,
    PointerType,
    PrimFunc,
    PrimType,
    codegen,
    compilation_pipeline,
    is_buffer_var,
    structural_walk,
    tirx,
    tvm,
)

PIPELINE = "sparsecc"
#: LLVM's own vectorizer of loops is off: schedules say what is a vector, and on AVX-512 it loads from wrong places in
#: loops where a choice guards loads (halves of rows that are computed and concatenated, as in rotary embeddings). Of
#: 222 kernels of five networks two come out differently without it, of 233 for AVX2 one
_LLVM_OPTIONS = ["-vectorize-loops:bool=0"]
#: TVM's passes leave common subexpressions to LLVM: their own for them took a tenth to a third of a compilation
#: (ResNet-18 for a Cortex-A72: 6.2 of 20 s), and libraries are as fast without it, and smaller
_PASSES = {"tirx.disable_cse_tir": True}
#: calling_conv of a function that TVM's packing pass leaves alone (anything but 0)
_C_CALL = 2
_INTRINSIC = "tirx.call_llvm_pure_intrin"
_ARCHITECTURES = ("llvm.x86.", "llvm.aarch64.", "llvm.arm.")


@dataclass(frozen=True)
class ObjectCode:
    """Compiled kernels.

    Attributes
    ----------
    data : bytes
        The object file.
    module : Any
        TVM's, which can show it.
    """

    data: bytes
    module: Any = field(repr=False)

    @property
    def assembly(self) -> str:
        """The listing; LLVM generates code anew for it, a tenth of a compilation."""
        return str(self.module.inspect_source("s"))


def compile_object(functions: Mapping[str, PrimFunc], llvm: Mapping[str, object]) -> ObjectCode:
    """Compile kernels to one relocatable object.

    Parameters
    ----------
    functions : mapping of str to PrimFunc
        C symbol -> scheduled kernel.
    llvm : mapping
        Target description for TVM's LLVM back end.
    """
    module = IRModule({name: _with_pointers(f).with_attr("global_symbol", name) for name, f in functions.items()})
    built = _built(module, llvm)
    # to memory: LLVM ends the whole process where a disk is full
    with open(os.memfd_create("kernels.o"), "rb") as file:
        built.write_to_file(f"/proc/self/fd/{file.fileno()}", "o")
        return ObjectCode(file.read(), built)


def own_instructions(functions: Iterable[PrimFunc]) -> list[str]:
    """LLVM's names of instructions of one architecture that kernels call: code for others can't be made of them."""
    found: set[str] = set()

    def see(call: Any) -> None:
        if getattr(call.op, "name", "") == _INTRINSIC:
            found.add(str(codegen.llvm_get_intrinsic_name(int(call.args[0]))))

    for function in functions:
        structural_walk(function.body, (Call, see))
    return sorted(name for name in found if name.startswith(_ARCHITECTURES))


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
    built = _built(IRModule(named), llvm)

    def compile_shared(path: str, objects: Sequence[str], **_options: Any) -> None:
        link(["-shared", "-fPIC", "-o", path, *objects])

    built.export_library(str(out), fcompile=compile_shared, workspace_dir=str(out.parent))


def _built(module: IRModule, llvm: Mapping[str, object]) -> Any:
    with tvm.transform.PassContext(config=_PASSES):
        return tirx.build(module, target=_target(llvm), pipeline=PIPELINE)


def _target(llvm: Mapping[str, object]) -> Any:
    """For TVM; options of LLVM are for x86, where they were needed and tried."""
    options = {"cl-opt": _LLVM_OPTIONS} if str(llvm.get("mtriple", "")).startswith("x86_64") else {}
    return tvm.target.Target({**llvm, **options})


def evaluate(func: PrimFunc, arguments: Sequence[Any]) -> None:
    """Compile an unscheduled function for this machine and call it; it writes the last one of NumPy ``arguments``."""
    module = IRModule({"evaluated": func.with_attr("global_symbol", "evaluated")})
    tensors = [tvm.runtime.tensor(argument) for argument in arguments]
    tirx.build(module, target=tvm.target.Target("llvm"), pipeline=PIPELINE)["evaluated"](*tensors)
    arguments[-1][...] = tensors[-1].numpy()


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


def _pipeline() -> tuple[Any, Callable[[], Any], Any]:
    passes, _host, device = compilation_pipeline.get_tir_pipeline("s_tir")

    def host() -> Any:
        lower = tirx.transform
        return tvm.transform.Sequential(
            [
                _passes.device_scope,
                _passes.stack_accumulators,
                _passes.private_scratch,
                lower.LowerTVMBuiltin(),
                lower.LowerIntrin(),
                exact_extremes,
                strided_bytes,
                _passes.stored_values,
            ]
        )

    return passes, host, device


compilation_pipeline.register_tir_pipeline(PIPELINE, _pipeline)
