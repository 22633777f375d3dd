"""Padding with the image's own pixels: reflected, repeated or from the other side."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.operator import Channels, Operator

Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PadLayer(Operator):
    """Pixel ``(rows[i], columns[j])`` of each plane at ``(i, j)`` of the result.

    Attributes
    ----------
    key, name : str
    shape : tuple of int
        Of the images: ``(n, c, h, w)``.
    rows, columns : numpy.ndarray
        int32.
    """

    key: str
    name: str
    shape: tuple[int, int, int, int]
    rows: Ints
    columns: Ints

    kernel: ClassVar = "pad"
    reads_rows: ClassVar = True
    writes_rows: ClassVar = True
    clears_gaps: ClassVar = False
    channels: ClassVar[Channels] = "keeps"

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return f"pad {self.shape[2]}x{self.shape[3]} to {len(self.rows)}x{len(self.columns)}"

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.shape[0], self.shape[1], self.shape[1]

    @property
    def run(self) -> tuple[int, int]:
        """First and end of the longest run of columns that lie side by side in the image, too."""
        breaks = [0, *(np.flatnonzero(np.diff(self.columns) != 1) + 1).tolist(), len(self.columns)]
        return max(itertools.pairwise(breaks), key=lambda run: run[1] - run[0])
