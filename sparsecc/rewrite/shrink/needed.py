"""Which channels must stay: those that reach a result, and what would tear something apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.structure import Structure, find_structure
from sparsecc.rewrite.shrink.atoms import Ints
from sparsecc.rewrite.shrink.flow import Flow, Reader

Bools = NDArray[np.bool_]
#: share of kept blocks from which on rows of blocks are not worth keeping together
_FULL = 0.9


class Needed:
    """Says of atoms whether they stay.

    Parameters
    ----------
    flow : Flow
        Of the whole network.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._roots = flow.atoms.roots()
        self._stays = np.zeros(len(self._roots), np.bool_)
        self._stays[self._roots[flow.atoms.pinned]] = True
        self._rows: dict[str, Ints | None] = {}
        while True:
            self._spread()
            before = int(self._stays.sum())
            for atoms in self._torn():
                self._stays[self._roots[atoms]] = True
            if int(self._stays.sum()) == before:
                break

    def of(self, atoms: Ints) -> Bools:
        """Bool, one for each atom."""
        found: Bools = self._stays[self._roots[atoms]]
        return found

    def _spread(self) -> None:
        """Whoever computes what is needed needs what it reads."""
        readers, before = list(self._flow.readers.values())[::-1], -1
        while before != (before := int(self._stays.sum())):
            for reader in readers:
                if reader.inputs is not None:
                    rows = self.of(reader.outputs).reshape(reader.groups, -1)
                    reads = reader.reads.reshape(*rows.shape, -1)
                    read = (reads & rows[:, :, None]).any(axis=1).reshape(-1)
                    self._stays[self._roots[reader.inputs[read]]] = True

    def _torn(self) -> Iterator[Ints]:
        """Atoms that have to stay though nobody needs them."""
        for channels in self._flow.channels.values():
            if not self.of(channels.atoms).any():
                yield channels.atoms[:1]
        for reader in self._flow.readers.values():
            if reader.groups > 1:
                yield from self._uneven(reader)
            else:
                yield from self._torn_rows(reader)

    def _uneven(self, reader: Reader) -> Iterator[Ints]:
        """Groups have equally many inputs and outputs; one that has neither goes."""
        sides = [reader.outputs] if reader.inputs is None else [reader.outputs, reader.inputs]
        atoms = [side.reshape(reader.groups, -1) for side in sides]
        counts = [self.of(side).sum(axis=1) for side in atoms]
        there = np.any(counts, axis=0) | (reader.inputs is None)
        for side, count in zip(atoms, counts, strict=True):
            for group in np.flatnonzero(there & (count < count.max())):
                free = side[group][~self.of(side[group])]
                yield free[: count.max() - count[group]]

    def _torn_rows(self, reader: Reader) -> Iterator[Ints]:
        """Rows of blocks of a layer that is sparse besides: their channels go together or not at all."""
        stays = self.of(reader.outputs)
        if not stays.any() or stays.all() or not reader.reads.any():
            return
        if reader.key not in self._rows:
            self._rows[reader.key] = _rows_of_blocks(reader)
        rows = self._rows[reader.key]
        if rows is not None:
            yield from (reader.outputs[row] for row in rows if stays[row].any() and not stays[row].all())


def _rows_of_blocks(reader: Reader) -> Ints | None:
    """Output channels of every row, ``(rows, N)``; None where no blocks are to be skipped besides.

    Neighbours are rows together with the filters among them that are zero, one of which may stay for its constant.
    Where zero filters lie anywhere, the others are looked at alone.
    """
    filters, columns = np.flatnonzero(reader.reads.any(axis=1)), reader.reads.any(axis=0)
    found = find_structure(reader.weight[filters][:, columns])
    if not _has_rows(found):
        return None
    everything = find_structure(reader.weight[:, columns])
    if everything.aligned and everything.block_n == found.block_n:
        return everything.grouping.astype(np.int64)
    return filters[found.grouping].astype(np.int64)


def _has_rows(found: Structure) -> bool:
    return found.block_n > 1 and found.density <= _FULL
