"""What is found out on the way through a network: where channels are, which are tied, what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.layer import Layer
from sparsecc.rewrite.shrink.atoms import Atoms, Channels, Ints
from sparsecc.rewrite.shrink.known import Known
from sparsecc.rewrite.shrink.steps import Shuffle

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Reader:
    """A convolution or linear layer that sums over channels.

    Attributes
    ----------
    key : str
    groups : int
    inputs : numpy.ndarray or None
        Atoms of what it reads; None where the order and number of channels must stay.
    outputs : numpy.ndarray
    weight, bias : numpy.ndarray
        Those that compute the same without what was folded: ``(oc, ic / groups, kh, kw)`` and ``(oc,)``.
    constant : numpy.ndarray
        bool ``(oc,)``: filters that the input does not matter to.
    """

    key: str
    groups: int
    inputs: Ints | None
    outputs: Ints
    weight: Array
    bias: Array
    constant: NDArray[np.bool_]

    @property
    def reads(self) -> NDArray[np.bool_]:
        """Bool ``(oc, ic / groups)``: which filter needs which channel of its group."""
        found: NDArray[np.bool_] = np.any(self.weight.reshape(*self.weight.shape[:2], -1), axis=2)
        return found


@dataclass(frozen=True, eq=False)
class Flow:
    """All of it.

    Attributes
    ----------
    layers : mapping of str to Layer
        As imported.
    atoms : Atoms
    channels : dict
        Variable -> its channels; what is not there has none that could go.
    known : dict
        Variable -> values of its channels that are known.
    readers : dict of str to Reader
    orders : mapping
        Variables that are another one with its channels in another order.
    """

    layers: Mapping[str, Layer]
    orders: Mapping[Any, Shuffle]
    atoms: Atoms = field(default_factory=Atoms)
    channels: dict[Any, Channels] = field(default_factory=dict)
    known: dict[Any, Known] = field(default_factory=dict)
    readers: dict[str, Reader] = field(default_factory=dict)

    def pin(self, *operands: Any) -> None:
        """Let all channels of some tensors stay."""
        for operand in operands:
            if (found := self.channels.get(operand)) is not None:
                self.atoms.pin(found.atoms.tolist())

    def put(self, var: Any, channels: Channels, known: Known | None = None) -> None:
        """Say where a variable has its channels."""
        self.channels[var] = channels
        if known is not None:
            self.known[var] = known
