"""What a processor's core is like where no manual says it: the constants of the cost model, as data."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sparsecc.target.checks import check_field

#: fields that may be nothing: what costs no cycles and takes no instructions
_MAY_BE_ZERO = (
    "weight_instructions", "weight_load_cycles", "block_cycles", "dense_block_cycles", "accumulator_cycles",
    "tile_cycles", "crowded_cycles", "l2_line_cycles", "l3_line_cycles", "reread_share", "copied_vector_cycles",
    "moved_row_cycles",
)  # fmt: skip


@dataclass(frozen=True)
class Core:
    """How fast a core runs the direct kernel's parts, and how code for it uses registers.

    The cost model reads these fields and never asks what core they belong to. The cores that we know are in
    :mod:`sparsecc.target.cores`; :mod:`sparsecc.tuning.fit` measures those that we don't.

    Attributes
    ----------
    name, source : str
        For people; where the numbers are from: what was measured, or which core they were taken from.
    issue_width : float
        Instructions that start in a cycle. Cores that start them in the order of the program do not use it.
    double_pumped : bool
        True where a multiply-add on a whole vector takes both halves of a unit, or two units: those on narrower vectors
        start more often.
    weight_instructions : float
        Instructions that bring a weight to where multiply-adds take it: 0 where they broadcast it themselves, from
        memory (AVX-512) or from a lane of a register (AArch64), 1 where it must fill a register first (AVX2, 32-bit
        ARM).
    weights_by_lane : bool
        True where multiply-adds take a weight from a lane of a register: a load then fills several lanes.
    weight_load_cycles : float
        Cycles of the load units for a weight.
    spare_registers : int
        Registers that the compiler needs besides sums and pixels, or it reloads pixels for every multiply-add.
    loops_over_taps : bool
        True where a tile that leaves too few registers to unroll the taps of a kernel is worth a loop over them.
    register_per_weight : bool
        True where every weight fills a register for as long as it is used, and code is ordered to need few of them
        (32-bit ARM).
    prefetches_taps : bool
        True where blocks of several taps gain from asking for weights ahead of their use.
    block_cycles, dense_block_cycles : float
        Cycles that a kept block costs beside its multiply-adds: the address of its channel is loaded, then used; and
        where every block is kept.
    accumulator_cycles, tile_cycles : float
        Cycles for the start and the store of an accumulator, and to begin a tile.
    crowded_cycles : float
        Cycles for a tile whose accumulators leave too few registers to begin the next one meanwhile.
    l2_line_cycles, l3_line_cycles : float
        Cycles for a cache line that no prefetcher sees coming, several misses in flight.
    stream_factor : float
        How much slower than plain streaming planes are read row by row of blocks.
    reread_share : float
        Share of the first cache's misses that shows when a tile's pixels are read again.
    set_factor : float
        Room that lines of many planes take in the first cache: they share its sets unevenly, those of a copy don't.
    copied_vector_cycles : float
        Cycles to copy a vector.
    moved_row_cycles : float
        Cycles to move a row of pixels from where a row of blocks put all of its planes to the output. All these rows
        are stored at once, so that a second thread, whose lines come from the other's cache, waits for most of them.
    """

    name: str
    source: str
    issue_width: float
    double_pumped: bool
    weight_instructions: float
    weights_by_lane: bool
    weight_load_cycles: float
    spare_registers: int
    loops_over_taps: bool
    register_per_weight: bool
    prefetches_taps: bool
    block_cycles: float
    dense_block_cycles: float
    accumulator_cycles: float
    tile_cycles: float
    crowded_cycles: float
    l2_line_cycles: float
    l3_line_cycles: float
    stream_factor: float
    reread_share: float
    set_factor: float
    copied_vector_cycles: float
    moved_row_cycles: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            may_be_zero = field.name in _MAY_BE_ZERO
            check_field(f"core {self.name}", field.name, str(field.type), value, may_be_zero=may_be_zero)
