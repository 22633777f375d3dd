"""What code generation, the cost model and the linker need to know of a processor family."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from sparsecc.errors import TargetError
from sparsecc.runtime.libc import system_here, system_of
from sparsecc.target.checks import check_field
from sparsecc.target.core import Core
from sparsecc.untrusted import shown

#: names that Linux has for LLVM's features, where they differ, by architecture
_PROC_NAMES = {
    "aarch64": {"neon": "asimd", "dotprod": "asimddp", "fullfp16": "asimdhp", "lse": "atomics"},
    "armv7l": {"vfp4": "vfpv4", "hwdiv-arm": "idiva"},
    "x86_64": {"avx512vnni": "avx512_vnni", "avxvnni": "avx_vnni"},
}
#: what a name may be: it becomes part of files' names
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_MOST_LETTERS = 100
#: LLVM's name of arithmetic on vectors of half precision
HALF_FEATURE = "fullfp16"
#: widths of vectors, and registers, that there are kernels for
_LANES, _LEAST_REGISTERS = (4, 8, 16), 16
#: what says nothing may be zero
_MAY_BE_ZERO = ("cores", "memory_bytes")
#: share of a board's memory that a network may take: the system needs the rest
_MEMORY_SHARE = 0.75


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
        Checked when a library is opened; LLVM's names.
    lanes : int
        float32 elements of a vector register.
    registers : int
        Vector registers.
    fma_per_cycle : float
        Vector multiply-adds that start in a cycle.
    loads_per_cycle : float
        Vector loads that start in a cycle.
    core_model : Core
        The constants of the cost model.
    fma_latency : int
        Cycles until a multiply-add's result may be used.
    folds_load : bool
        True where a multiply-add can take a vector from memory itself (x86).
    l1_bytes, l2_bytes, l3_bytes : int
        Data caches that one core can use.
    l2_bandwidth, l3_bandwidth, memory_bandwidth : float
        Bytes that one core streams from there in a cycle.
    in_order : bool
        True for cores that start instructions in the order of the program: a load's cycle is none for a multiply-add.
    ghz : float
        Usual clock of a busy core: only to tell cycles in seconds.
    cores, memory_bytes : int
        Of the smallest board with this processor; 0 where that says nothing.
    source : str
        The board, for people.
    codes : str
        The feature that multiplies 8-bit integers, where code without them does not ask for it; empty for none.
    """

    name: str
    triple: str
    llvm: Mapping[str, object]
    cpu_features: tuple[str, ...]
    lanes: int
    registers: int
    fma_per_cycle: float
    loads_per_cycle: float
    core_model: Core
    fma_latency: int = 4
    folds_load: bool = False
    l1_bytes: int = 32 * 1024
    l2_bytes: int = 1024 * 1024
    l3_bytes: int = 16 * 1024 * 1024
    l2_bandwidth: float = 32.0
    l3_bandwidth: float = 24.0
    memory_bandwidth: float = 7.0
    in_order: bool = False
    ghz: float = 3.5
    cores: int = 0
    memory_bytes: int = 0
    source: str = ""
    codes: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name) or len(self.name) > _MOST_LETTERS:
            raise TargetError(
                f"target: name: found {shown(self.name)}, expected letters, digits, '.', '-' and '_', at most 100"
            )
        for field in fields(self):
            if field.name == "core_model":
                self._check_core()
            else:
                value, may_be_zero = getattr(self, field.name), field.name in _MAY_BE_ZERO
                check_field(f"target {self.name}", field.name, str(field.type), value, may_be_zero=may_be_zero)
        if self.lanes not in _LANES:
            raise TargetError(f"target {self.name}: lanes: found {self.lanes}, expected 4, 8 or 16")
        if self.registers < _LEAST_REGISTERS:
            raise TargetError(
                f"target {self.name}: registers: found {self.registers}, expected {_LEAST_REGISTERS} or more"
            )

    def _check_core(self) -> None:
        if not isinstance(self.core_model, Core):
            raise TargetError(
                f"target {self.name}: core_model: found {shown(self.core_model)}, expected a sparsecc.target.Core"
            )

    @property
    def room_bytes(self) -> int:
        """Bytes that a network may take of the board's memory; 0 where that is not known."""
        return int(self.memory_bytes * _MEMORY_SHARE)

    def runs_here(self) -> bool:
        """True when this machine has every feature that code for the target uses, and its C library."""
        return system_here().startswith(system_of(self.triple)) and self.has_processor()

    def has_processor(self) -> bool:
        """True when this machine's processor has every feature that code for the target uses."""
        return self.triple.startswith(platform.machine()) and has_features(self.cpu_features)

    def for_codes(self) -> Target:
        """The same for networks of 8-bit integers: with the instructions that multiply them, where there are any."""
        if not self.codes:
            return self
        attributes = self.llvm.get("mattr", [])
        assert isinstance(attributes, list), "a list of features"
        llvm = {**self.llvm, "mattr": [*attributes, f"+{self.codes}"]}
        return replace(self, codes="", llvm=llvm, cpu_features=(*self.cpu_features, self.codes))

    @property
    def has_half(self) -> bool:
        """Whether vectors of half precision are multiplied and added."""
        return HALF_FEATURE in self.cpu_features

    def for_half_code(self) -> Target:
        """The same for code in half precision: LLVM is told of it, whatever it knows of the processor's name."""
        attributes = self.llvm.get("mattr", [])
        assert isinstance(attributes, list), "a list of features"
        return replace(self, llvm={**self.llvm, "mattr": [*attributes, f"+{HALF_FEATURE}"]}) if self.has_half else self

    def for_half(self) -> Target:
        """The same for kernels of half precision, in the cost model's words: twice the elements everywhere."""
        caches = {name: 2 * getattr(self, name) for name in ("l1_bytes", "l2_bytes", "l3_bytes")}
        rates = {name: 2 * getattr(self, name) for name in ("l2_bandwidth", "l3_bandwidth", "memory_bandwidth")}
        return replace(self, lanes=2 * self.lanes, **caches, **rates)

    def bandwidth(self, footprint: float) -> float:
        """Bytes a cycle from the smallest cache that holds ``footprint`` bytes; infinite for the first level."""
        if footprint <= self.l1_bytes:
            return float("inf")
        if footprint <= self.l2_bytes:
            return self.l2_bandwidth
        return self.l3_bandwidth if footprint <= self.l3_bytes else self.memory_bandwidth


def has_features(features: Iterable[str]) -> bool:
    """Whether this machine has them; LLVM's names."""
    names = _PROC_NAMES.get(platform.machine(), {})
    return {names.get(feature, feature) for feature in features} <= cpu_flags()


def cpu_flags() -> frozenset[str]:
    """Features of this machine, as Linux calls them."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError as error:
        raise TargetError(
            f"target 'native': can't read the processor's features ({error}); name a target instead"
        ) from error
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return frozenset(line.partition(":")[2].split())
