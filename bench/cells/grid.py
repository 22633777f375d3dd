"""Which cells a run has, and who takes part in each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from bench.results.schema import Cell, CellResult, Limits
from bench.results.summary import OURS, OURS_DENSE, OURS_ONE_THREAD, fastest_dense
from bench.rivals import RIVALS

#: of the whole grid
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50")


@dataclass(frozen=True)
class Grid:
    """What to measure: every combination of the first four.

    Attributes
    ----------
    nets : tuple of str
    blocks : tuple of int
        Output channels of a block.
    sparsities : tuple of float
        Share of pruned blocks; 0 stands for the dense network, which has one cell whatever the blocks.
    threads : tuple of int
    rivals : tuple of str
        Who may take part beside sparsecc.
    carried : int
        How many of a dense cell's rivals take part in the pruned cells: the fastest.
    width, size
        Of every cell.
    """

    nets: tuple[str, ...]
    blocks: tuple[int, ...]
    sparsities: tuple[float, ...]
    threads: tuple[int, ...]
    rivals: tuple[str, ...]
    carried: int = 2
    width: float = 1.0
    size: int = 224

    def cells(self) -> list[Cell]:
        """Cells in the order to measure them: of each network the dense ones first, those of one pattern together."""
        patterns = [(1, 0.0)] if 0 in self.sparsities else []
        patterns += [pattern for pattern in itertools.product(self.blocks, self.sparsities) if pattern[1]]
        return [
            Cell(net, n, sparsity, threads, self.width, self.size)
            for net, (n, sparsity), threads in itertools.product(self.nets, patterns, self.threads)
        ]

    def participants(self, cell: Cell, done: Sequence[CellResult], limits: Limits, *, wanted: int) -> list[str]:
        """Who takes part in a cell after ``done``; ``wanted`` rounds were played there.

        An engine that makes no use of zeros takes the same time for every pattern. So all such rivals run in the dense
        cell, and the fastest of them in the pruned ones; without a dense cell, and if one of them was not in it, all.
        """
        dense = [name for name in self.rivals if not RIVALS[name].uses_zeros]
        if cell.is_dense:
            return [OURS_DENSE, *dense]
        before = next((result for result in done if result.cell == _dense(cell)), None)
        if before is not None:
            tried = {p.name for p in before.participants}
            fast = fastest_dense(before, limits, wanted=wanted, count=self.carried)
            dense = [name for name in dense if name in fast or name not in tried]
        return [*self._ours(cell), *(name for name in self.rivals if RIVALS[name].uses_zeros), *dense]

    def size_of(self, cell: Cell) -> int:
        """About how many take part in a cell."""
        zeros = sum(RIVALS[name].uses_zeros for name in self.rivals)
        dense = len(self.rivals) - zeros
        if cell.is_dense:
            return 1 + dense
        return len(self._ours(cell)) + zeros + (min(self.carried, dense) if 0 in self.sparsities else dense)

    @staticmethod
    def _ours(cell: Cell) -> list[str]:
        return [OURS, OURS_DENSE, *([OURS_ONE_THREAD] if cell.threads > 1 else [])]


def _dense(cell: Cell) -> Cell:
    return Cell(cell.net, 1, 0.0, cell.threads, cell.width, cell.size)
