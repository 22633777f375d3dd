"""ARM: what every processor of an architecture has."""

from __future__ import annotations

from sparsecc.target.model import Target

#: caches and throughputs that small boards have at least: one multiply-add of four floats and one load in a cycle
ARM: dict[str, Target] = {
    "aarch64": Target(
        name="aarch64",
        triple="aarch64-linux-gnu",
        llvm={"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "generic", "mattr": ["+neon"]},
        cpu_features=("neon",),
        lanes=4,
        registers=32,
        fma_per_cycle=1,
        loads_per_cycle=1,
        folds_broadcast=True,
        l2_bytes=512 * 1024,
        l3_bytes=512 * 1024,
        l2_bandwidth=8.0,
        l3_bandwidth=8.0,
        memory_bandwidth=2.0,
    ),
    "armv7": Target(
        name="armv7",
        triple="armv7l-linux-gnueabihf",
        # Cortex-A7, A15, A17 and all 64-bit cores have fused multiply-adds; LLVM must be told that they are not slow
        llvm={
            "kind": "llvm",
            "mtriple": "armv7l-linux-gnueabihf",
            "mcpu": "cortex-a7",
            "mattr": ["+neon", "+vfp4", "-slowfpvfmx"],
            "mfloat-abi": "hard",
        },
        cpu_features=("neon", "vfp4"),
        lanes=4,
        registers=16,
        fma_per_cycle=0.5,
        loads_per_cycle=1,
        l2_bytes=512 * 1024,
        l3_bytes=512 * 1024,
        l2_bandwidth=4.0,
        l3_bandwidth=4.0,
        memory_bandwidth=1.0,
    ),
}
