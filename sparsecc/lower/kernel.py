"""What the compiler knows of a kernel: a row of the table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sparsecc._tvm import IRModule
from sparsecc.ir.layer_key import LayerKey
from sparsecc.lower.choice import Verdict
from sparsecc.lower.lowered import Lowered
from sparsecc.lower.site import Site
from sparsecc.target import Target

Array = NDArray[np.float32]
Open = TypeVar("Open")
ConfigT = TypeVar("ConfigT")
Value = TypeVar("Value")


class Once(Protocol):
    """Answers a question from memory if it was asked before."""

    def __call__(self, key: Hashable, find: Callable[[], Value], /) -> Value:
        """The answer to ``key``, by ``find`` where it is new."""
        ...


@dataclass(frozen=True)
class Cost:
    """Predicted cycles of a kernel, by what they are corrected with.

    Attributes
    ----------
    kind : str
        What reports call it.
    rest : float
        Cycles that are neither of the following.
    convolution, windows : float
        Of a convolution; of a depthwise convolution or pooling.
    chosen : float or None
        Cycles by which its config is chosen; None where it has no choice.
    """

    kind: str
    rest: float = 0.0
    convolution: float = 0.0
    windows: float = 0.0
    chosen: float | None = None

    @property
    def cycles(self) -> float:
        """All of them."""
        return self.rest + self.convolution + self.windows


@dataclass(frozen=True)
class Knobs(Generic[Open, ConfigT]):
    """What is open in a kernel.

    Attributes
    ----------
    key : callable
        What records call the layer.
    default : callable
        The cost model's config.
    space : callable
        All legal configs; the default is legal, too, whether it is among them or not.
    cycles : callable
        What the cost model predicts for a config; None where there is no model.
    stored : mapping of str to callable
        What records call the kernel -> how its config is read.
    numbers : callable
        What a config is to the ranking model of a search.
    legal : callable, optional
        Whether a config is, where that is known without the whole space.
    """

    key: Callable[[Site[Any], Open], LayerKey]
    default: Callable[[Site[Any], Open], ConfigT]
    space: Callable[[Site[Any], Open], Iterable[ConfigT]]
    cycles: Callable[[Site[Any], Open, ConfigT], float | None]
    stored: Mapping[str, Callable[[Mapping[str, Any]], ConfigT]]
    numbers: Callable[[ConfigT, LayerKey, Target], list[float]]
    legal: Callable[[Site[Any], Open, ConfigT], Verdict] | None = None


@dataclass(frozen=True)
class Kernel(Generic[Open, ConfigT]):
    """One row of the table.

    Attributes
    ----------
    opened : callable
        What is known of a node's kernel before its config is chosen.
    lower : callable
        The finished kernel with its arguments.
    cost : callable
        Predicted cycles of the kernel that would be chosen; asks for no weights.
    reference : callable
        The operator's result by NumPy, for inputs in their logical shapes; a residual comes last.
    knobs : Knobs, optional
        None for a kernel without any: its config is None.
    """

    opened: Callable[[Site[Any]], Open]
    lower: Callable[[Site[Any], Open, ConfigT], Lowered]
    cost: Callable[[Site[Any], Once], Cost]
    reference: Callable[[Any, IRModule, Sequence[Array]], Array]
    knobs: Knobs[Open, ConfigT] | None = None
