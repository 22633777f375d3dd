"""A node that has become a scheduled kernel and its arguments."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from sparsecc._tvm import PrimFunc
from sparsecc.ir.provenance import Provenance
from sparsecc.lower.choice import Choice
from sparsecc.lower.joining import Joining


@dataclass(frozen=True, eq=False)
class Lowered:
    """One kernel call.

    Attributes
    ----------
    kind : str
        The kernel's strategy: ``direct``, ``window``, ``chain``, ``linear``, ``mean``, ``repack`` or ``generic``.
    identity : hashable
        Equal for kernels with equal code.
    function : PrimFunc
        The scheduled kernel.
    arguments : tuple
        Tensor number or constant array, in the kernel's order; the output is last.
    config : mapping
        The knobs' values, for the report.
    cycles : float or None
        What the cost model predicts for the config; None for a kernel without a choice.
    expected : float
        Predicted cycles in any case, by which the runtime finds how many threads are worth it; 0 if nobody asked.
    packing : hashable
        In which order its weights lie, see :attr:`~sparsecc.kernels.config.Config.packing`.
    joined : tuple of str
        Keys of layers that this call computes too.
    why : Provenance or None
        By what the config was chosen; None for a kernel without knobs.
    choice : Choice or None
        What there was to choose from; it holds the weights once more.
    """

    kind: str
    identity: Hashable
    function: PrimFunc
    arguments: tuple[int | NDArray[Any], ...]
    config: Mapping[str, Any]
    cycles: float | None = None
    joined: tuple[str, ...] = ()
    why: Provenance | None = None
    choice: Choice | None = None
    expected: float = 0.0
    packing: Hashable = ()


def problems_of(kernels: Iterable[Lowered], joins: Mapping[str, Joining]) -> list[str]:
    """Records that should have been used for kernels and joins and could not be, each once."""
    reasons = [*(joining.why for joining in joins.values()), *(kernel.why for kernel in kernels)]
    return list(dict.fromkeys(problem for why in reasons if why is not None for problem in why.problems))
