"""What guided sparsity learning asks of an advisor, and how."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

from sparsecc.errors import UserError
from sparsecc.prune.pruner import Pruner


class LayerBounds(Protocol):
    """What an advisor says of a layer."""

    @property
    def potential(self) -> bool:
        """Whether pruning can make the layer faster at all."""

    @property
    def lower(self) -> float:
        """Sparsity below which the layer is slower than dense, 0..1."""

    @property
    def upper(self) -> float:
        """Sparsity above which it gets no faster, 0..1."""


class Advisor(Protocol):
    """Anything that knows the bounds of layers."""

    def bounds(self) -> Mapping[str, LayerBounds]:
        """Bounds by layer name."""


class AdvisorForBlocks(Protocol):
    """The same where they depend on the size of blocks, such as :class:`sparsecc.Advice`."""

    def bounds(self, n: int, /) -> Mapping[str, LayerBounds]:
        """Bounds by layer name for blocks of ``n`` output channels."""


def bounds_of(advisor: Any, pruner: Pruner) -> dict[str, LayerBounds]:
    """Bounds by layer name, for the blocks of a pruner.

    Raises
    ------
    UserError
        The advisor is no mapping and has no ``bounds()``; it wants to know N, but the pruner has no blocks of whole
        kernels; or what it knows is no bounds.
    """
    found = advisor if isinstance(advisor, Mapping) else _asked(advisor, pruner)
    if not isinstance(found, Mapping):
        raise UserError(f"Guided: advisor: bounds() gave {type(found).__name__}, expected a mapping of layers' names")
    for name, bounds in found.items():
        if not all(hasattr(bounds, part) for part in ("lower", "upper", "potential")):
            raise UserError(
                f"Guided: advisor: found {bounds!r} for layer {name!r}, expected bounds such as prune.Bounds(0.1, 0.9)"
            )
    return dict(found)


def _asked(advisor: Any, pruner: Pruner) -> Any:
    method = getattr(advisor, "bounds", None)
    if not callable(method):
        raise UserError(
            f"Guided: advisor: found {type(advisor).__name__}, expected a mapping of layers' names to bounds, or an "
            "object with bounds(), such as what sparsecc.advise returns"
        )
    if not _takes_n(method):
        return method()
    n = pruner.block_n
    if n is None:
        raise UserError(
            f"Guided: advisor: it knows bounds for blocks of N output channels, but {type(pruner).__name__} prunes "
            "single weights; use unit='kernel' and advise(..., n=(1,)), or give a mapping of layers' names to bounds"
        )
    return method(n)


def _takes_n(method: Any) -> bool:
    """Whether it must be called with N."""
    try:
        inspect.signature(method).bind()
    except TypeError:
        return True
    return False
