"""What the algorithms that may compute a layer take: cycles, bytes of weights, and cycles to bring those from afar."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from sparsecc.analyse.layers import weight_bytes
from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.cost.winograd import algorithm_cycles
from sparsecc.target import Target

Value = TypeVar("Value")

#: share of the time to fetch weights from memory that is not hidden. On one core of a Zen 5, ResNet-18 by Winograd's
#: algorithm, 1x16 and 1x4 at 75 %: 0.24 and 0.23 ms for 27 and 18 MB that were in the last cache before, which this
#: predicts as 0.22 and 0.14; of direct kernels less shows, 0.04 ms for 14 MB
_FETCHED = 0.5


class Prices:
    """Answers of the cost model for one target; equal questions are answered from memory.

    Layers are dense where ``structure`` is None; ``tile`` is the side of a tile of Winograd's algorithm, None for the
    direct kernel.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._known: dict[Hashable, object] = {}

    def cycles(self, spec: ConvSpec, structure: Structure | None, tile: int | None) -> float:
        """Cycles of a layer by itself, its weights in the last cache."""
        key = ("cycles", spec, blocks_of(structure), tile)
        return self.once(key, lambda: algorithm_cycles(spec, structure, tile, target=self.target))

    def nbytes(self, spec: ConvSpec, structure: Structure | None, tile: int | None) -> int:
        """Bytes of a layer's weights."""
        key = ("bytes", spec, blocks_of(structure), tile)
        return self.once(key, lambda: weight_bytes(spec, structure, tile))

    def once(self, key: Hashable, find: Callable[[], Value]) -> Value:
        """The answer to a question, from memory if it was asked before."""
        if key not in self._known:
            self._known[key] = find()
        return cast(Value, self._known[key])


def fetch_cycles(nbytes: int, all_weights: float, target: Target) -> float:
    """Cycles that a layer's weights take longer because all of the network's together do not stay in the last cache.

    What has no room there comes from memory. The next byte of a network beyond that room costs as if all were infinite.
    """
    away = max(0.0, 1 - target.l3_bytes / all_weights) if all_weights else 0.0
    near, far = target.bandwidth(target.l2_bytes + nbytes), target.memory_bandwidth
    return _FETCHED * nbytes * away * max(0.0, 1 / far - 1 / near)


def blocks_of(structure: Structure | None) -> tuple[object, ...] | None:
    """What of a structure questions are told apart by; None for a dense layer."""
    if structure is None:
        return None
    return structure.rows, structure.block_n, structure.nnzb, structure.by_tap, structure.index
