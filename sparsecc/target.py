"""The processors that code can be made for, as plain data."""

from __future__ import annotations

import difflib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sparsecc.errors import TargetError


@dataclass(frozen=True)
class Target:
    """A processor family.

    Attributes
    ----------
    name : str
        What users write, and what the library says of itself.
    triple : str
        For linking: architecture, system and C library with its oldest version.
    llvm : mapping
        What TVM's LLVM code generator is told.
    cpu_features : tuple of str
        Checked when a library is opened; names as in Linux' /proc/cpuinfo.
    lanes : int
        float32 elements of a vector register.
    registers : int
        Vector registers.
    fma_per_cycle : float
        Vector multiply-adds that start in a cycle.
    loads_per_cycle : float
        Vector loads that start in a cycle.
    fma_latency : int
        Cycles until a multiply-add's result may be used.
    folds_broadcast : bool
        True where a multiply-add can broadcast a float from memory itself (AVX-512).
    l1_bytes, l2_bytes, l3_bytes : int
        Data caches that one core can use.
    l2_bandwidth, l3_bandwidth, memory_bandwidth : float
        Bytes that one core streams from there in a cycle.
    """

    name: str
    triple: str
    llvm: Mapping[str, object]
    cpu_features: tuple[str, ...]
    lanes: int
    registers: int
    fma_per_cycle: float
    loads_per_cycle: float
    fma_latency: int = 4
    folds_broadcast: bool = False
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 1024 * 1024
    l3_bytes: int = 16 * 1024 * 1024
    l2_bandwidth: float = 32.0
    l3_bandwidth: float = 24.0
    memory_bandwidth: float = 7.0

    def runs_here(self) -> bool:
        """True when this machine has every feature that code for the target uses."""
        return self.triple.startswith(platform.machine()) and set(self.cpu_features) <= _cpu_flags()

    def bandwidth(self, footprint: float) -> float:
        """Bytes a cycle from the smallest cache that holds ``footprint`` bytes; infinite for the first level."""
        if footprint <= self.l1_bytes:
            return float("inf")
        if footprint <= self.l2_bytes:
            return self.l2_bandwidth
        return self.l3_bandwidth if footprint <= self.l3_bytes else self.memory_bandwidth


_X86_TRIPLE = "x86_64-linux-gnu.2.28"
_LLVM_TRIPLE = "x86_64-unknown-linux-gnu"
_V3_FEATURES = ("avx2", "fma", "bmi2", "f16c")
_V4_FEATURES = (*_V3_FEATURES, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

#: Levels of the x86-64 psABI. Throughputs are those of Zen 4 and Skylake-X per core, which agree in the ratios that
#: the cost model uses: two 256-bit or one 512-bit multiply-add and two loads of up to 256 bits in a cycle.
TARGETS: dict[str, Target] = {
    "x86-64-v3": Target(
        name="x86-64-v3",
        triple=_X86_TRIPLE,
        llvm={"kind": "llvm", "mtriple": _LLVM_TRIPLE, "mcpu": "x86-64-v3"},
        cpu_features=_V3_FEATURES,
        lanes=8,
        registers=16,
        fma_per_cycle=2,
        loads_per_cycle=2,
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
        folds_broadcast=True,
    ),
}


def resolve(target: str | Target) -> Target:
    """Turn a name into a :class:`Target`; ``"native"`` is the best one this machine can run.

    Raises
    ------
    TargetError
        For an unknown name (the nearest ones are offered), or when this machine is none of ours.
    """
    if isinstance(target, Target):
        return target
    if target == "native":
        return _native()
    if isinstance(target, str) and target in TARGETS:
        return TARGETS[target]
    near = difflib.get_close_matches(str(target), [*TARGETS, "native"], n=3, cutoff=0.3) or [*TARGETS, "native"]
    raise TargetError(
        f"target: found {target!r}, expected one of {', '.join([*TARGETS, 'native'])}; nearest: {near[0]!r}"
    )


def _native() -> Target:
    machine = platform.machine()
    if machine not in ("x86_64", "AMD64"):
        raise TargetError(f"target 'native': this machine is {machine!r}, expected x86_64; name a target instead")
    flags = _cpu_flags()
    best = [t for t in TARGETS.values() if set(t.cpu_features) <= flags]
    if not best:
        raise TargetError(
            "target 'native': this processor lacks AVX2 and FMA, which x86-64-v3 needs; name a target instead"
        )
    return replace(best[-1])


def _cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError as error:
        raise TargetError(
            f"target 'native': can't read the processor's features ({error}); name a target instead"
        ) from error
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())
