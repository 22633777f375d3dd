"""ARM's cores as they are documented and were measured by others; see :class:`~sparsecc.target.hardware.Hardware`.

Nobody publishes how much a second cache or memory gives in a cycle, or how many lines are on their way at a time, for
most of them: what is assumed says so. ``line_cycles`` are the quotients of a line and of the bandwidths of our targets.
"""

from __future__ import annotations

from dataclasses import replace

from sparsecc.target.hardware import Cache, Hardware

_KIB, _MIB = 1 << 10, 1 << 20
_SUZUKI = "insn_bench_aarch64 by H. Suzuki"
_ESTEVEZ = "measured on one: D. Estevez, qsdr-benchmarks/tests/instruction_benchmark/aarch64"
_NCNN = "ncnn, docs/developer-guide/arm-a53-a55-dual-issue.md"
_ASSUMED = "assumed"

_A53 = Hardware(
    name="cortex-a53", width=2, in_order=True, fma_per_cycle=1, loads_per_cycle=0.5, stores_per_cycle=0.5,
    fma_latency=4, load_latency=4, caches=(Cache(32 * _KIB, 4, 3), Cache(512 * _KIB, 16, 15)), memory_latency=150,
    streams=2, ahead=5, misses=3, line_cycles=(8.0, 29.0), models=("cortex-a53",),
    sources={
        "width": "DDI 0500",
        "in_order": "DDI 0500",
        "fma_per_cycle": _SUZUKI + ", raspberry-pi-3_cortex-a53",
        "loads_per_cycle": _ESTEVEZ + "/neon/load/ldr.rs: ldr q takes two cycles; " + _NCNN,
        "stores_per_cycle": _ASSUMED + ", as loads",
        "fma_latency": _SUZUKI + ", raspberry-pi-3_cortex-a53",
        "load_latency": _ESTEVEZ + "/neon/load/ldr.rs",
        "caches": "DDI 0500; latencies: Hennessy and Patterson, 6th edition, a miss "
        "of 13 cycles",
        "memory_latency": "Hennessy and Patterson, 6th edition, a miss of 124 cycles; board: " + _ASSUMED,
        "streams": "DDI 0500, CPUACTLR_EL1.NPFSTRM as it is after reset",
        "ahead": "DDI 0500, CPUACTLR_EL1.L1PCTL as it is after reset",
        "misses": _ASSUMED,
        "line_cycles": "second cache: " + _ASSUMED + "; memory: sbc-bench 3E85",
        "models": "LLVM",
    },
)  # fmt: skip
_A7 = replace(
    _A53, name="cortex-a7", fma_per_cycle=0.25, caches=(Cache(32 * _KIB, 4, 3), Cache(512 * _KIB, 8, 15)),
    streams=1, ahead=3, misses=1, line_cycles=(16.0, 46.0), models=(),
    sources={
        "width": "DDI 0464: pairs of some instructions",
        "in_order": "DDI 0464",
        "fma_per_cycle": "wlog.flatlib.jp, VFP benchmark 2014-02-14",
        "loads_per_cycle": "DDI 0464, section 2.1.1: 64 bits wide",
        "stores_per_cycle": "DDI 0464, section 2.1.1: 64 bits wide",
        "fma_latency": "GCC, config/arm/cortex-a7.md",
        "load_latency": _ASSUMED + ", that of Cortex-A53",
        "caches": "DDI 0464; latencies: " + _ASSUMED + ", those of Cortex-A53",
        "memory_latency": _ASSUMED + ", that of Cortex-A53",
        "streams": _ASSUMED,
        "ahead": _ASSUMED,
        "misses": _ASSUMED,
        "line_cycles": "second cache: " + _ASSUMED + "; memory: sbc-bench 3MGs",
        "models": "LLVM has none that tells vectors apart",
    },
)  # fmt: skip
_A55 = replace(
    _A53, name="cortex-a55", stores_per_cycle=1,
    caches=(Cache(32 * _KIB, 4, 3), Cache(128 * _KIB, 4, 8), Cache(1 * _MIB, 16, 25)), streams=4,
    line_cycles=(8.0, 8.0, 29.0), models=("cortex-a55",),
    sources={
        **_A53.sources,
        "width": "Arm EPM-128372",
        "in_order": "Arm EPM-128372",
        "fma_per_cycle": "Arm EPM-128372",
        "loads_per_cycle": _NCNN + ": 128 bits wait for two cycles",
        "stores_per_cycle": "Arm EPM-128372",
        "fma_latency": "Arm EPM-128372",
        "load_latency": _ASSUMED + ", that of Cortex-A53",
        "caches": "sizes as in phones' chips; latencies of the second and third: " + _ASSUMED,
        "memory_latency": _ASSUMED + ", that of Cortex-A53",
        "streams": _ASSUMED,
        "ahead": _ASSUMED + ", as Cortex-A53",
        "misses": _ASSUMED + ", as Cortex-A53",
        "line_cycles": _ASSUMED + ", as Cortex-A53",
    },
)  # fmt: skip
_A72 = Hardware(
    name="cortex-a72", width=3, in_order=False, fma_per_cycle=1, loads_per_cycle=1, stores_per_cycle=0.5,
    fma_latency=3, load_latency=5, caches=(Cache(32 * _KIB, 2, 4), Cache(1 * _MIB, 16, 21)), memory_latency=230,
    streams=4, ahead=8, misses=6, line_cycles=(8.0, 30.0), models=("cortex-a72",),
    sources={
        "width": "Arm UAN 0016A",
        "in_order": "Arm UAN 0016A",
        "fma_per_cycle": "Arm UAN 0016A; " + _SUZUKI,
        "loads_per_cycle": "Arm UAN 0016A",
        "stores_per_cycle": "Arm UAN 0016A",
        "fma_latency": "Arm UAN 0016A, section 4.1",
        "load_latency": "Arm UAN 0016A",
        "caches": "TRM 100095; latency of the second: " + _ASSUMED,
        "memory_latency": _ASSUMED,
        "streams": _ASSUMED + "; TRM 100095 has a prefetcher by strides in the first cache, and streams in the second",
        "ahead": _ASSUMED,
        "misses": _ASSUMED,
        "line_cycles": "second cache: " + _ASSUMED + "; memory: sbc-bench 3N94",
        "models": "LLVM: the same as Cortex-A57's",
    },
)  # fmt: skip
_A73 = replace(
    _A72, name="cortex-a73", width=2, loads_per_cycle=1, fma_latency=4,
    caches=(Cache(64 * _KIB, 16, 4), Cache(1 * _MIB, 16, 21)), models=("cortex-a73",),
    sources={
        **_A72.sources,
        "width": "TRM 100048: two instructions decoded",
        "in_order": "TRM 100048",
        "fma_per_cycle": _ASSUMED + ", as Cortex-A72: two units of 64 bits (anandtech.com 10347)",
        "loads_per_cycle": _ASSUMED + ", as Cortex-A72",
        "stores_per_cycle": _ASSUMED + ", as Cortex-A72",
        "fma_latency": _ASSUMED,
        "load_latency": _ASSUMED + ", as Cortex-A72",
        "caches": "TRM 100048; latencies: " + _ASSUMED + ", as Cortex-A72",
        "ahead": _ASSUMED + ", as Cortex-A72",
        "misses": _ASSUMED + ", as Cortex-A72",
        "models": "LLVM: Cortex-A57's stands in",
    },
)  # fmt: skip
_A76 = Hardware(
    name="cortex-a76", width=4, in_order=False, fma_per_cycle=2, loads_per_cycle=2, stores_per_cycle=1,
    fma_latency=2, load_latency=5,
    caches=(Cache(64 * _KIB, 4, 4), Cache(512 * _KIB, 8, 9), Cache(2 * _MIB, 16, 30)), memory_latency=300,
    streams=16, ahead=16, misses=20, line_cycles=(4.0, 8.0, 10.0), models=("neoverse-n1", "cortex-a57"),
    sources={
        "width": "Arm PJDOC-466751330-7215",
        "in_order": "Arm PJDOC-466751330-7215",
        "fma_per_cycle": "Arm PJDOC-466751330-7215",
        "loads_per_cycle": "TRM 100798, section A6.1",
        "stores_per_cycle": "Arm PJDOC-466751330-7215",
        "fma_latency": "Arm PJDOC-466751330-7215: 4, and 2 from sum to sum; our target has 4",
        "load_latency": "Arm PJDOC-466751330-7215",
        "caches": "TRM 100798; latencies: anandtech.com 12785",
        "memory_latency": _ASSUMED,
        "streams": _ASSUMED,
        "ahead": _ASSUMED,
        "misses": "anandtech.com 12785: 20 of the first cache",
        "line_cycles": "caches: " + _ASSUMED + "; memory: sbc-bench 1ULtUe",
        "models": "LLVM 17 and later: Neoverse N1, its sibling",
    },
)  # fmt: skip
_SIBLING = {"models": "LLVM 17 and later: Neoverse N1", "memory_latency": _ASSUMED}
_A78 = replace(
    _A76, name="cortex-a78", caches=(Cache(64 * _KIB, 4, 4), Cache(512 * _KIB, 8, 9), Cache(4 * _MIB, 16, 30)),
    sources={**_A76.sources, **_SIBLING, "width": "TRM 101430: four instructions decoded"},
)  # fmt: skip
_N1 = replace(
    _A76, name="neoverse-n1", caches=(Cache(64 * _KIB, 4, 4), Cache(1 * _MIB, 8, 11), Cache(32 * _MIB, 16, 60)),
    sources={
        **_A76.sources,
        **_SIBLING,
        "width": "Arm PJDOC-466751330-9707",
        "caches": "TRM 100616; Graviton 2: learn.arm.com, memory-subsystem/cache-hierarchy",
    },
)  # fmt: skip

#: by name
HARDWARE: dict[str, Hardware] = {core.name: core for core in (_A7, _A53, _A55, _A72, _A73, _A76, _A78, _N1)}
