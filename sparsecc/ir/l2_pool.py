"""Pooling by the Euclidean norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.layer import PoolLayer
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.operator import Channels, Operator


@dataclass(frozen=True)
class L2PoolLayer(Operator):
    """The square root of a factor times the average of a window's squares.

    Attributes
    ----------
    squares : PoolLayer
        The average.
    factor : float
        Pixels of a window, for its norm.
    """

    squares: PoolLayer
    factor: float

    kernel: ClassVar = "l2_pool"
    combine: ClassVar = "l2"
    is_window: ClassVar = True
    channels: ClassVar[Channels] = "keeps"
    epilogue: ClassVar[Epilogue] = Epilogue()

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return f"{self.combine} {self.spec.kh}x{self.spec.kw}"

    @property
    def spec(self) -> ConvSpec:
        """The window's."""
        return self.squares.spec

    @property
    def planes(self) -> ConvSpec:
        """See :class:`Operator`."""
        return self.spec

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.spec.n, self.spec.ic, self.spec.oc

    def constants(self, layout: PlaneLayout) -> dict[str, NDArray[np.float32]]:
        """Factors of a sum of squares."""
        return {name: np.float32(self.factor) * array for name, array in self.squares.constants(layout).items()}
