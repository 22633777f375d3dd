"""Times of layers and of the network over sparsity, and bounds of what is worth pruning, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Bounds:
    """Between which sparsities (0 to 1) a layer is worth pruning.

    Attributes
    ----------
    lower : float
        Break-even: above it the sparse layer is faster than the dense one. 1: never.
    upper : float
        There kept blocks take as long as what no pruning removes: reading the input, finishing and writing the output.
        Beyond it more pruning helps little.
    potential : bool
        Whether there is something to gain: ``lower`` is below ``upper``, and at ``upper`` the layer is at least as much
        faster than dense as the compiler asks for to make a layer sparse.

    Notes
    -----
    Source: Park et al. 2017 (arXiv 1608.01409), performance model: lower and upper bound of useful sparsity. Their
    ``t_compute`` is here all that grows with the kept blocks, their weights included; ``t_memory`` the rest.
    """

    lower: float
    upper: float
    potential: bool


@dataclass(frozen=True)
class Point:
    """A layer at one sparsity.

    Attributes
    ----------
    sparsity : float
        Share of pruned blocks, 0 to 1.
    us : float
        Microseconds of the layer as the compiler would build it: sparse where that pays, else dense.
    compute_us, memory_us : float
        Of the sparse layer: of its kept blocks, and of the rest; their sum is the sparse layer's time.
    is_sparse : bool
        Whether it would be sparse.
    """

    sparsity: float
    us: float
    compute_us: float
    memory_us: float
    is_sparse: bool

    @property
    def sparse_us(self) -> float:
        """Of the sparse layer, whether it pays or not."""
        return self.compute_us + self.memory_us

    @property
    def bound(self) -> Literal["compute", "memory"]:
        """What the sparse layer's time is mostly made of."""
        return "compute" if self.compute_us > self.memory_us else "memory"


@dataclass(frozen=True)
class Curve:
    """A layer over sparsity, with blocks of ``n`` output channels."""

    n: int
    points: tuple[Point, ...]
    bounds: Bounds


@dataclass(frozen=True)
class LayerAdvice:
    """A layer that can be pruned.

    Attributes
    ----------
    name : str
        In the PyTorch model.
    weight : tuple of int
        Shape ``(oc, ic / groups, kh, kw)``.
    pixels : tuple of int
        Height and width of the output.
    dense_us : float
        Microseconds of the dense layer by itself.
    curves : tuple of Curve
        One for each N.
    given : tuple of int or None
        Shape of the weight in the model, where some of its channels are gone.
    """

    name: str
    weight: tuple[int, ...]
    pixels: tuple[int, int]
    dense_us: float
    curves: tuple[Curve, ...]
    given: tuple[int, ...] | None = None


@dataclass(frozen=True)
class NetAdvice:
    """The whole network over sparsity, all layers that can be pruned at the same one.

    Attributes
    ----------
    n : int
        Output channels of a block.
    us : tuple of float
        Microseconds at each of the advice's sparsities, every step of the network included.
    break_even : float
        Sparsity from which the network is faster than the dense one; 1: never.
    """

    n: int
    us: tuple[float, ...]
    break_even: float
