"""The cores that we know, by name, each with where its numbers are from.

Two were measured. All others have the numbers of one of these and say so; numbers of their own go to their entries.
How many instructions start in a cycle is what the makers' optimization guides say: docs/cores.md names them.
"""

from __future__ import annotations

from dataclasses import replace

from sparsecc.target.core import Core

_ZEN_4 = Core(
    name="zen-4",
    # the config picked is 4 % slower than the best of the space in the mean, which includes some noise, and more than
    # 10 % slower for a tenth of the layers
    source="measured on one core of a Zen 4 with AVX-512: 3000 timings of 230 layers (1x1 and 3x3, 7 to 112 pixels, "
    "N = 4 and 16 at 50, 75 and 90 % and dense)",
    issue_width=6,
    double_pumped=True,
    weight_instructions=0,
    weights_by_lane=False,
    weight_load_cycles=0.5,
    spare_registers=2,
    loops_over_taps=False,
    register_per_weight=False,
    prefetches_taps=True,
    block_cycles=1.3,
    dense_block_cycles=1.3,
    accumulator_cycles=2.0,
    tile_cycles=12.0,
    crowded_cycles=100.0,
    l2_line_cycles=6.0,
    l3_line_cycles=8.0,
    stream_factor=1.4,
    reread_share=0.4,
    set_factor=1.0,
    copied_vector_cycles=1.5,
    moved_row_cycles=2.0,
)
_ZEN_3 = Core(
    name="zen-3",
    # of five kinds of config the one picked is 2 % slower than the best in the mean, 6 % at most
    source="measured on one core of a Zen 3 with AVX2: least times of 134 kernels (1x1, 7 to 56 pixels, N = 4 at 75 % "
    "and dense, tiles or rows outside, with copies or not)",
    issue_width=6,
    double_pumped=False,
    weight_instructions=1,
    weights_by_lane=False,
    weight_load_cycles=0.5,
    spare_registers=1,
    loops_over_taps=True,
    register_per_weight=False,
    prefetches_taps=False,
    block_cycles=0.74,
    dense_block_cycles=0.0,
    accumulator_cycles=0.9,
    tile_cycles=6.0,
    crowded_cycles=0.0,
    l2_line_cycles=3.0,
    l3_line_cycles=8.0,
    stream_factor=2.0,
    reread_share=0.35,
    set_factor=3.0,
    copied_vector_cycles=0.9,
    moved_row_cycles=0.0,
)
_NOBODY = "taken from {}, as nobody measured {}"
_WIDTH = "; with the documented issue width"
_ZEN_5 = replace(
    _ZEN_4,
    name="zen-5",
    source="taken from zen-4, but for vectors, of which its units take whole ones; its figures alone were measured",
    double_pumped=False,
)
_ZEN_4_AVX2 = replace(_ZEN_3, name="zen-4-avx2", source=_NOBODY.format("zen-3", "a Zen 4 with AVX2"))
#: what the code of an instruction set may run on, in the place of a core
_ANY_AVX2 = replace(
    _ZEN_3, name="any-avx2", source=_NOBODY.format("zen-3", "other cores with AVX2, Intel's among them")
)
_ANY_AVX512 = replace(_ZEN_4, name="any-avx512", source=_NOBODY.format("zen-4", "other cores with AVX-512"))

#: what was measured with two threads of a Zen 4 is left out, and what tiles of over 20 sums cost its AVX-512: the
#: engines that are fastest on ARM have 24 of 32 registers for sums
_ANY_ARM = replace(
    _ZEN_4,
    name="any-aarch64",
    source=_NOBODY.format("zen-4", "an ARM core"),
    double_pumped=False,
    weights_by_lane=True,
    crowded_cycles=0.0,
    moved_row_cycles=0.0,
)


def _documented(name: str, of: str, issue_width: int) -> Core:
    """A core of which the width alone is known."""
    return replace(_ANY_ARM, name=name, source=_NOBODY.format("zen-4", of) + _WIDTH, issue_width=issue_width)


_CORTEX_A53 = _documented("cortex-a53", "a Cortex-A53", 2)
_CORTEX_A55 = _documented("cortex-a55", "a Cortex-A55", 2)
_CORTEX_A72 = _documented("cortex-a72", "a Cortex-A72", 3)
_CORTEX_A73 = _documented("cortex-a73", "a Cortex-A73", 2)
_CORTEX_A76 = _documented("cortex-a76", "a Cortex-A76", 4)
_CORTEX_A78 = _documented("cortex-a78", "a Cortex-A78", 4)
_NEOVERSE_N1 = _documented("neoverse-n1", "a Neoverse N1", 4)


def _in_32_bit(core: Core, *, name: str, of: str, weight_load_cycles: float) -> Core:
    """The core with 32-bit code: each weight is loaded and broadcast to a register by an instruction of its own."""
    return replace(
        core, name=name, source=_NOBODY.format("zen-4", of) + (_WIDTH if core is not _ANY_ARM else ""),
        weight_instructions=1,
        weights_by_lane=False, weight_load_cycles=weight_load_cycles, spare_registers=1, loops_over_taps=True,
        register_per_weight=True,
    )  # fmt: skip


_CORTEX_A7 = _in_32_bit(replace(_ANY_ARM, issue_width=2), name="cortex-a7", of="a Cortex-A7", weight_load_cycles=2.0)
_ANY_ARMV7 = _in_32_bit(_ANY_ARM, name="any-armv7", of="a core with 32-bit ARM code", weight_load_cycles=2.0)
_CORTEX_A53_32 = _in_32_bit(
    _CORTEX_A53, name="cortex-a53-32", of="a Cortex-A53 with 32-bit code", weight_load_cycles=2.0
)
_CORTEX_A72_32 = _in_32_bit(
    _CORTEX_A72, name="cortex-a72-32", of="a Cortex-A72 with 32-bit code", weight_load_cycles=1.0
)

#: by name
CORES: dict[str, Core] = {
    core.name: core
    for core in (
        _ZEN_3, _ZEN_4, _ZEN_5, _ZEN_4_AVX2, _ANY_AVX2, _ANY_AVX512, _ANY_ARM, _CORTEX_A53, _CORTEX_A55, _CORTEX_A72,
        _CORTEX_A73, _CORTEX_A76, _CORTEX_A78, _NEOVERSE_N1, _ANY_ARMV7, _CORTEX_A7, _CORTEX_A53_32, _CORTEX_A72_32,
    )
}  # fmt: skip
