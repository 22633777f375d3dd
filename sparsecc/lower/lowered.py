"""A node that has become a scheduled kernel and its arguments."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from sparsecc._tvm import PrimFunc


@dataclass(frozen=True, eq=False)
class Lowered:
    """One kernel call.

    Attributes
    ----------
    kind : str
        The kernel's strategy: ``direct``, ``window``, ``chain``, ``linear``, ``mean``, ``repack`` or ``generic``.
    identity : hashable
        Equal for kernels with equal code.
    build : PrimFunc
        The scheduled kernel.
    arguments : tuple
        Tensor number or constant array, in the kernel's order; the output is last.
    config : mapping
        The knobs' values, for the report.
    cycles : float or None
        What the cost model predicts.
    joined : tuple of str
        Keys of layers that this call computes too.
    """

    kind: str
    identity: Hashable
    function: PrimFunc
    arguments: tuple[int | NDArray[Any], ...]
    config: Mapping[str, Any]
    cycles: float | None = None
    joined: tuple[str, ...] = ()
