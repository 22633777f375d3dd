"""What every operator of a graph says of itself, so that no pass has to ask who it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.tensor_type import TensorType

#: what an operator does with channels: sums over all that it reads, keeps each in its place, is another shape of the
#: same floats, or needs them in the network's order; "code": its loops tell
Channels = Literal["sums", "keeps", "code", "view", "fixed"]
#: how the values of a window become one: a weighted sum, a sum times a factor, the largest
Combine = Literal["weighted", "sum", "max"]
#: an order of channels; None for the one that they have
Order = NDArray[np.int64] | None


class Operator:
    """An operator; unless it says otherwise, one without a kernel whose tensors are lists of numbers."""

    def __str__(self) -> str:
        """What it does, in a few words."""
        return self.kernel

    @property
    def kernel(self) -> str:
        """Row of the table of kernels (:mod:`sparsecc.lower.table`) that computes it; empty where nothing runs."""
        return ""

    @property
    def planes(self) -> ConvSpec | None:
        """The layer as which it reads its first input, where it walks flat planes: with a halo, of one pitch."""
        return None

    @property
    def reads_rows(self) -> bool:
        """Whether it walks rows of its inputs by itself: they may lie as others want them."""
        return False

    @property
    def writes_rows(self) -> bool:
        """The same of its result."""
        return False

    @property
    def is_window(self) -> bool:
        """Whether it turns one plane into one plane."""
        return False

    @property
    def begins_chain(self) -> bool:
        """Whether one kernel may compute it and the window that is its only reader."""
        return False

    @property
    def ends_chain(self) -> bool:
        """Whether it is a window that may be the second half of such a kernel: then it is a :class:`Window`."""
        return False

    @property
    def fits_in_place(self) -> bool:
        """Whether its kernel may store results where it read."""
        return False

    @property
    def is_copy(self) -> bool:
        """Whether its result is its input, perhaps in another layout."""
        return False

    @property
    def fill(self) -> float:
        """What the pixels around an image must be."""
        return 0.0

    @property
    def runs(self) -> tuple[int, int]:
        """Channels of its first input, and of its result, one of each run of which it has at a time; 0 for none."""
        return 0, 0

    @property
    def clears_gaps(self) -> bool:
        """Whether its kernel writes the zeros around the pixels of its result."""
        return True

    @property
    def follower(self) -> ConvSpec | None:
        """The window that it computes after a convolution, where it is both."""
        return None

    @property
    def joined(self) -> tuple[str, ...]:
        """Keys of layers that it computes besides the one whose key it has."""
        return ()

    @property
    def weights(self) -> tuple[NDArray[Any], ...]:
        """Arrays that nobody else reads: they may leave the memory when its kernel is made."""
        return ()

    @property
    def channels(self) -> Channels:
        """What it does with channels."""
        return "fixed"

    @property
    def types(self) -> tuple[TensorType, ...]:
        """Types of its inputs and, last, of its result, where its kernel wants others than float32; else nothing."""
        return ()

    @property
    def images(self) -> tuple[int, int, int] | None:
        """Images, channels read, channels written; None where what it reads are no images."""
        return None

    def halved(self) -> Operator | None:
        """Return the same in half precision; None where its kernel has none."""
        return None

    def activated(self, activation: Activation) -> Operator | None:
        """Return the same with an activation after it; None where its kernel has no room for one."""
        return None

    def scaled(self, factor: NDArray[np.float32]) -> Operator | None:
        """Return the same times a constant that is broadcast over its result; None where its kernel can't do it."""
        return None

    def shifted(self, summand: NDArray[np.float32]) -> Operator | None:
        """The same plus a constant."""
        return None

    def reordered(self, reads: Order, writes: Order, constants: Mapping[int, tuple[int, Order]]) -> Operator:
        """Return the same for other orders of channels.

        Parameters
        ----------
        reads, writes : numpy.ndarray or None
            Of its first input and its result.
        constants : mapping of int to (int, numpy.ndarray or None)
            Number of a constant -> its axis of channels, and their order.
        """
        return self


class Window(Protocol):
    """An operator that turns one plane into one plane, by windows; or may, if it is a convolution."""

    @property
    def kernel(self) -> str:
        """See :class:`Operator`."""
        ...

    @property
    def fill(self) -> float:
        """See :class:`Operator`."""
        ...

    @property
    def fits_in_place(self) -> bool:
        """See :class:`Operator`."""
        ...

    @property
    def spec(self) -> ConvSpec:
        """A depthwise convolution's, whatever the window computes."""
        ...

    @property
    def combine(self) -> str:
        """How the values of a window become one."""
        ...

    @property
    def epilogue(self) -> Epilogue:
        """What is done to that before it is stored."""
        ...

    def constants(self, layout: PlaneLayout) -> dict[str, NDArray[np.float32]]:
        """Arrays that its kernel reads, by parameter, for a result that lies as ``layout`` says."""
        ...
