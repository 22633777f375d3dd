"""Constants of the direct kernel's cost model that were fitted to timings, by kind of core."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sparsecc.target import Target


@dataclass(frozen=True)
class Fitted:
    """What a core's kind decides.

    Attributes
    ----------
    block, dense_block : float
        Cycles that a kept block costs beside its multiply-adds: the address of its channel is loaded, then used; and
        where every block is kept.
    accumulator, restart : float
        Cycles for the start and the store of an accumulator, and to begin a tile.
    crowded : float
        Cycles for a tile whose accumulators leave too few registers to begin the next one meanwhile.
    l2_line, l3_line : float
        Cycles for a cache line that no prefetcher sees coming, several misses in flight.
    streamed : float
        How much slower than plain streaming planes are read row by row of blocks.
    again : float
        Share of the first cache's misses that shows when a tile's pixels are read again.
    uneven : float
        Room that lines of many planes take in the first cache: they share its sets unevenly, those of a copy don't.
    copied : float
        Cycles to copy a vector.
    moved : float
        Cycles to move a row of pixels from where a row of blocks put all of its planes to the output. All these rows
        are stored at once, so that a second thread, whose lines come from the other's cache, waits for most of them.
    prefetches_taps : bool
        Whether blocks of several taps gain from asking for weights ahead of their use.
    """

    block: float
    dense_block: float
    accumulator: float
    restart: float
    crowded: float
    l2_line: float
    l3_line: float
    streamed: float
    again: float
    uneven: float
    copied: float
    moved: float
    prefetches_taps: bool


#: 3000 timings of 230 layers (1x1 and 3x3, 7 to 112 pixels, N = 4 and 16 at 50, 75 and 90 % and dense) on one core of a
#: Zen 4 with AVX-512: the config picked is 4 % slower than the best of the space in the mean, which includes some
#: noise, and more than 10 % slower for a tenth of the layers
_ZEN_4 = Fitted(
    block=1.3, dense_block=1.3, accumulator=2.0, restart=12.0, crowded=100.0, l2_line=6.0, l3_line=8.0, streamed=1.4,
    again=0.4, uneven=1.0, copied=1.5, moved=2.0, prefetches_taps=True,
)  # fmt: skip
#: least times of 134 kernels (1x1, 7 to 56 pixels, N = 4 at 75 % and dense, tiles or rows outside, with copies or not)
#: on one core of a Zen 3: of five kinds of config the one picked is 2 % slower than the best in the mean, 6 % at most
_ZEN_3 = Fitted(
    block=0.74, dense_block=0.0, accumulator=0.9, restart=6.0, crowded=100.0, l2_line=3.0, l3_line=8.0, streamed=2.0,
    again=0.35, uneven=3.0, copied=0.9, moved=0.0, prefetches_taps=False,
)  # fmt: skip
#: what was measured with AVX-512 only is left out
_OTHERS = replace(_ZEN_4, moved=0.0)


def fitted(target: Target) -> Fitted:
    """The constants of the kind of core that is nearest to a target's."""
    return {8: _ZEN_3, 16: _ZEN_4}.get(target.lanes, _OTHERS)
