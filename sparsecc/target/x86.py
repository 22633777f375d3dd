"""Levels of the x86-64 psABI."""

from __future__ import annotations

from sparsecc.target.cores import CORES
from sparsecc.target.model import Target

_X86_TRIPLE = "x86_64-linux-gnu.2.28"
_LLVM_TRIPLE = "x86_64-unknown-linux-gnu"
_V3_FEATURES = ("avx2", "fma", "bmi2", "f16c")
_V4_FEATURES = (*_V3_FEATURES, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

#: Levels of the x86-64 psABI. Throughputs are those of Zen 4 and Skylake-X per core, which agree in the ratios that
#: the cost model uses: two 256-bit or one 512-bit multiply-add and two loads of up to 256 bits in a cycle.
X86: dict[str, Target] = {
    "x86-64-v3": Target(
        name="x86-64-v3",
        triple=_X86_TRIPLE,
        llvm={"kind": "llvm", "mtriple": _LLVM_TRIPLE, "mcpu": "x86-64-v3"},
        cpu_features=_V3_FEATURES,
        lanes=8,
        registers=16,
        fma_per_cycle=2,
        loads_per_cycle=2,
        core_model=CORES["any-avx2"],
        folds_load=True,
    ),
    "x86-64-v4": Target(
        name="x86-64-v4",
        triple=_X86_TRIPLE,
        # the psABI level prefers 256-bit vectors unless told otherwise
        llvm={"kind": "llvm", "mtriple": _LLVM_TRIPLE, "mcpu": "x86-64-v4", "mattr": ["-prefer-256-bit"]},
        cpu_features=_V4_FEATURES,
        lanes=16,
        registers=32,
        fma_per_cycle=1,
        loads_per_cycle=1,
        core_model=CORES["any-avx512"],
        folds_load=True,
    ),
}
