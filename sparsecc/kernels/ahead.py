"""Loads ahead of their use, for cores that start instructions in the order of the program.

Such a core stands still when a multiply-add comes before the load that it waits for is done, and the address of a kept
block's channel is itself loaded. So each step, one tap of one kept block, loads what the next step multiplies. A vector
of pixels is loaded into the register of the one before it as soon as that has been multiplied with all weights: until
its own use all other vectors have their turn. Only weights take registers twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import T


@dataclass(frozen=True)
class Steps:
    """What a tile adds up.

    Attributes
    ----------
    reg_n, vectors, lanes : int
        Accumulators.
    taps : tuple of int
        Floats from a channel's first pixel to where each tap reads.
    count : expression
        Kept blocks of the row.
    bias, weight : callable
        Number of a channel -> its bias; of a step (kept block times taps, plus tap) and a channel -> its weight.
    channel, pixel : callable
        Number of a kept block -> place of its channel; place of a tap and number of a pixel -> its value.
    start_step : callable
        Called with the number of the step that the code after it computes.
    """

    reg_n: int
    vectors: int
    lanes: int
    taps: tuple[int, ...]
    count: Any
    bias: Callable[[int], Any]
    weight: Callable[[Any, Any], Any]
    channel: Callable[[Any], Any]
    pixel: Callable[[Any, Any], Any]
    start_step: Callable[[Any], None]


def accumulate(steps: Steps, acc: Any) -> None:
    """Emit a tile's sum over kept blocks and taps, into ``acc`` (reg_n, vectors, lanes).

    Loops::

        acc = bias
        x[vectors, lanes], w[reg_n] = pixels and weights of the first kept block's first tap
        for kept block of row:                                                    # a loop
            for tap:                                                              # unrolled, like all below
                w_next = weights of the next tap
                for v:
                    for n: acc[n, v] += w[n] * x[v]
                    x[v] = pixels of the next tap
                w = w_next
    """
    for n in range(steps.reg_n):
        for v in range(steps.vectors):
            with T.vectorized(0, steps.lanes) as lane:
                T.buffer_store(acc, steps.bias(n), [n, v, lane])
    with T.If(steps.count > 0), T.Then():
        _Pipeline(steps, acc).emit()


class _Pipeline:
    """Registers that carry something from one step to the next, and the code of the steps."""

    def __init__(self, steps: Steps, acc: Any) -> None:
        def registers(*extents: int, dtype: str = "float32") -> Any:
            return T.alloc_buffer(extents, dtype, scope="global")

        self.steps, self.acc = steps, acc
        self.x = registers(steps.vectors, steps.lanes)
        self.w, self.w_next = registers(steps.reg_n), registers(steps.reg_n)
        self.here, self.there = registers(1, dtype="int32"), registers(1, dtype="int32")

    def emit(self) -> None:
        steps, taps = self.steps, len(self.steps.taps)
        last = steps.count - 1
        T.buffer_store(self.here, steps.channel(0), [0])
        T.buffer_store(self.there, steps.channel(T.min(1, last)), [0])
        for v in range(steps.vectors):
            self._load_pixels(v, self.here[0] + steps.taps[0])
        self._load_weights(self.w, 0)
        with T.serial(0, steps.count) as j:
            for tap in range(taps):
                step = j * taps + tap
                steps.start_step(step)
                ends = tap + 1 == taps
                self._load_weights(self.w_next, T.min(step + 1, steps.count * taps - 1) if ends else step + 1)
                place = self.there[0] + steps.taps[0] if ends else self.here[0] + steps.taps[tap + 1]
                for v in range(steps.vectors):
                    self._multiply(v)
                    self._load_pixels(v, place)
                for n in range(steps.reg_n):
                    T.buffer_store(self.w, self.w_next[n], [n])
            T.buffer_store(self.here, self.there[0], [0])
            T.buffer_store(self.there, steps.channel(T.min(j + 2, last)), [0])

    def _multiply(self, v: int) -> None:
        for n in range(self.steps.reg_n):
            with T.vectorized(0, self.steps.lanes) as lane:
                T.buffer_store(self.acc, self.acc[n, v, lane] + self.w[n] * self.x[v, lane], [n, v, lane])

    def _load_pixels(self, v: int, place: Any) -> None:
        lanes = self.steps.lanes
        pixels = self.steps.pixel(place, T.ramp(v * lanes, 1, lanes))
        T.buffer_store(self.x, _kept(pixels, lanes), [v, T.ramp(0, 1, lanes)])

    def _load_weights(self, to: Any, step: Any) -> None:
        with T.vectorized(0, self.steps.reg_n) as n:
            T.buffer_store(to, self.steps.weight(step, n), [n])


def _kept(value: Any, lanes: int) -> Any:
    """The same value, loaded where it stands: LLVM would merge loads before a loop and in it to one at its begin."""
    return T.call_llvm_pure_intrin(f"float32x{lanes}", "llvm.arithmetic.fence", value)
