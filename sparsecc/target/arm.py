"""ARM: what every processor of an architecture has, the Raspberry Pi boards, and cores of phones and servers.

Figures of a core: multiply-adds of four floats that start in a cycle, cycles from one to the next that adds to the
same register, loads of four floats that start in a cycle. Memory is what one core reads, as public measurements of the
boards have it, in bytes a cycle of its usual clock. Nobody publishes what the second caches give; 8 bytes a cycle (4 on
Cortex-A7, 16 on Cortex-A76) is our guess, and the first thing that a search on the board corrects.
"""

from __future__ import annotations

from dataclasses import replace

from sparsecc.target.cores import CORES
from sparsecc.target.model import Target

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
_TRIPLE_64, _TRIPLE_32 = "aarch64-linux-gnu", "armv7l-linux-gnueabihf"
#: LLVM takes fused multiply-adds to be slow on Cortex-A7, and a chain of them to be a hazard: it made a product and a
#: sum of all but the last. They do twice the work of a product or a sum (wlog.flatlib.jp, VFP benchmark 2014-02-14)
_FUSED = ("-slowfpvfmx", "-vmlx-hazards")
#: LLVM divides integers by an instruction, which Cortex-A5 lacks
_FEATURES_32 = ("neon", "vfp4", "hwdiv-arm")
_FEATURES_8_2 = ("neon", "lse", "dotprod", "fullfp16")


def _llvm_64(cpu: str, *attributes: str) -> dict[str, object]:
    return {"kind": "llvm", "mtriple": _TRIPLE_64, "mcpu": cpu, "mattr": ["+neon", *attributes]}


#: 32-bit code is the same for all cores. By what LLVM knows of Cortex-A53 and A72 it loads all that a step of a kernel
#: needs first, and has no registers left for sums; by Cortex-A7, and with its scheduler that counts registers, it
#: loads weights one by one
_LLVM_32: dict[str, object] = {
    "kind": "llvm",
    "mtriple": _TRIPLE_32,
    "mcpu": "cortex-a7",
    "mattr": ["+neon", "+vfp4", *_FUSED, "+use-misched"],
    "mfloat-abi": "hard",
}


_AARCH64 = Target(
    name="aarch64",
    triple=_TRIPLE_64,
    llvm=_llvm_64("generic"),
    cpu_features=("neon",),
    lanes=4,
    registers=32,
    fma_per_cycle=1,
    loads_per_cycle=1,
    core_model=CORES["any-aarch64"],
    l2_bytes=512 * _KIB,
    l3_bytes=512 * _KIB,
    l2_bandwidth=8.0,
    l3_bandwidth=8.0,
    memory_bandwidth=2.0,
    ghz=1.5,
)
_ARMV7 = replace(
    _AARCH64,
    name="armv7",
    triple=_TRIPLE_32,
    llvm=_LLVM_32,
    cpu_features=_FEATURES_32,
    registers=16,
    core_model=CORES["any-armv7"],
    in_order=True,
    fma_per_cycle=0.5,
    loads_per_cycle=0.5,
    l2_bandwidth=4.0,
    l3_bandwidth=4.0,
    memory_bandwidth=1.5,
    ghz=1.0,
)
#: four Cortex-A53: 1 and 0.5 a cycle, results after 8 cycles, for the next sum after 4 (insn_bench_aarch64 by
#: H. Suzuki, raspberry-pi-3_cortex-a53); no cryptography on these boards, which LLVM would believe; 2.2 GB/s at
#: 1.0 GHz (sbc-bench 3E85)
_A53 = replace(
    _AARCH64,
    name="rpi3",
    llvm=_llvm_64("cortex-a53", "-aes", "-sha2"),
    core_model=CORES["cortex-a53"],
    in_order=True,
    loads_per_cycle=0.5,
    cores=4,
    memory_bytes=1 * _GIB,
    memory_bandwidth=2.2,
    ghz=1.2,
    source="Raspberry Pi 3: BCM2837, 4 x Cortex-A53, 512 KiB of second cache",
)
#: four Cortex-A72: 1 and 1 a cycle, the next sum after 3 (Arm UAN 0016A, section 4.1; insn_bench_aarch64, A72);
#: 3.7 GB/s at 1.8 GHz (sbc-bench 3N94)
_A72 = replace(
    _AARCH64,
    name="rpi4",
    llvm=_llvm_64("cortex-a72", "-aes", "-sha2"),
    core_model=CORES["cortex-a72"],
    fma_latency=3,
    l2_bytes=1 * _MIB,
    l3_bytes=1 * _MIB,
    cores=4,
    memory_bytes=1 * _GIB,
    memory_bandwidth=2.1,
    ghz=1.8,
    source="Raspberry Pi 4: BCM2711, 4 x Cortex-A72, 1 MiB of second cache",
)

#: two 128-bit loads a cycle (TRM 100798 A6.1), multiply-adds as its sibling Neoverse N1: 2 a cycle, after 4 at most
#: (insn_bench_aarch64, Graviton 2); 14.9 GB/s at 2.4 GHz (sbc-bench 1ULtUe)
_A76 = replace(
    _AARCH64,
    name="cortex-a76",
    core_model=CORES["cortex-a76"],
    llvm=_llvm_64("cortex-a76"),
    cpu_features=_FEATURES_8_2,
    fma_per_cycle=2,
    loads_per_cycle=2,
    fma_latency=4,
    l1_bytes=64 * _KIB,
    l2_bytes=512 * _KIB,
    l3_bytes=2 * _MIB,
    l2_bandwidth=16.0,
    l3_bandwidth=8.0,
    memory_bandwidth=6.2,
    ghz=2.4,
)

ARM: dict[str, Target] = {
    "aarch64": _AARCH64,
    "armv7": _ARMV7,
    # four Cortex-A7: a quarter and half a cycle (64-bit data path, A7 TRM DDI0464F 2.1.1; wlog.flatlib.jp: 2 flops a
    # cycle), the next sum after 4 (GCC config/arm/cortex-a7.md); 1.3 GB/s at 0.9 GHz (sbc-bench 3MGs)
    "rpi2": replace(
        _ARMV7,
        name="rpi2",
        core_model=CORES["cortex-a7"],
        fma_per_cycle=0.25,
        cores=4,
        memory_bytes=1 * _GIB,
        memory_bandwidth=1.4,
        ghz=0.9,
        source="Raspberry Pi 2 (revision 1.1): BCM2836, 4 x Cortex-A7, 512 KiB of second cache",
    ),
    "rpi3": _A53,
    "rpi3-32": replace(
        _A53,
        name="rpi3-32",
        triple=_TRIPLE_32,
        llvm=_LLVM_32,
        cpu_features=_FEATURES_32,
        registers=16,
        core_model=CORES["cortex-a53-32"],
        source=f"{_A53.source}; 32-bit system",
    ),
    "rpi-zero2": replace(
        _A53,
        name="rpi-zero2",
        ghz=1.0,
        memory_bytes=512 * _MIB,
        source="Raspberry Pi Zero 2 W: RP3A0, 4 x Cortex-A53, 512 KiB of second cache",
    ),
    "rpi4": _A72,
    "rpi4-32": replace(
        _A72,
        name="rpi4-32",
        triple=_TRIPLE_32,
        llvm=_LLVM_32,
        cpu_features=_FEATURES_32,
        registers=16,
        core_model=CORES["cortex-a72-32"],
        source=f"{_A72.source}; 32-bit system",
    ),
    "rpi5": replace(
        _A76,
        name="rpi5",
        cores=4,
        memory_bytes=2 * _GIB,
        source="Raspberry Pi 5: BCM2712, 4 x Cortex-A76, 512 KiB of second cache each, 2 MiB of third",
    ),
    # as Cortex-A53 in what it can add and load, but that a load of 64 bits may begin with a multiply-add (ncnn's
    # arm-a53-a55-dual-issue.md); caches are those of phones' chips
    "cortex-a55": replace(
        _AARCH64,
        name="cortex-a55",
        llvm=_llvm_64("cortex-a55"),
        cpu_features=_FEATURES_8_2,
        core_model=CORES["cortex-a55"],
        in_order=True,
        loads_per_cycle=0.5,
        l2_bytes=128 * _KIB,
        l3_bytes=1 * _MIB,
        ghz=1.8,
        source="phones and boards: Cortex-A55, 128 KiB of second cache each, 1 MiB of third",
    ),
    # two units of 64 bits for floats, as of Cortex-A72; two loads a cycle, two instructions decoded (TRM 100048)
    "cortex-a73": replace(
        _A72,
        name="cortex-a73",
        llvm=_llvm_64("cortex-a73", "-aes", "-sha2"),
        core_model=CORES["cortex-a73"],
        fma_latency=4,
        cores=0,
        memory_bytes=0,
        source="phones and boards: Cortex-A73, 1 MiB of second cache",
    ),
    # two multiply-adds of vectors and two loads a cycle, as its sibling Cortex-A76
    "cortex-a78": replace(
        _A76,
        name="cortex-a78",
        llvm=_llvm_64("cortex-a78"),
        core_model=CORES["cortex-a78"],
        l3_bytes=4 * _MIB,
        source="phones and boards: Cortex-A78, 512 KiB of second cache each, 4 MiB of third",
    ),
    # a Cortex-A76 for servers; memory is what one core reads of Graviton 2's (about 15 GB/s at 2.5 GHz, our guess)
    "neoverse-n1": replace(
        _A76,
        name="neoverse-n1",
        llvm=_llvm_64("neoverse-n1"),
        core_model=CORES["neoverse-n1"],
        l2_bytes=1 * _MIB,
        l3_bytes=32 * _MIB,
        ghz=2.5,
        source="servers, Graviton 2 and Ampere Altra: Neoverse N1, 1 MiB of second cache each, 32 MiB of third",
    ),
}
