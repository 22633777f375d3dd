"""What is applied to an accumulator before it is stored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Residual = Literal["none", "before", "after"]


@dataclass(frozen=True)
class Activation:
    """An elementwise function of one variable.

    Attributes
    ----------
    kind : str
        A row of the table in :mod:`sparsecc.kernels.activation`.
    params : tuple of float
        Its constants: ``clip`` has ``(low, high)``, ``leaky_relu`` its slope, ``elu`` alpha, scale and
        input scale, ``softplus`` beta and threshold.
    """

    kind: str
    params: tuple[float, ...] = ()

    def __str__(self) -> str:
        return self.kind + (f"({', '.join(f'{p:g}' for p in self.params)})" if self.params else "")


@dataclass(frozen=True)
class Epilogue:
    """Bias is always added; then a residual before or after the activation, or none."""

    activation: Activation | None = None
    residual: Residual = "none"

    @property
    def adds_residual(self) -> bool:
        """Whether there is a residual."""
        return self.residual != "none"

    def __str__(self) -> str:
        parts = ["bias"]
        if self.residual == "before":
            parts.append("residual")
        if self.activation is not None:
            parts.append(str(self.activation))
        if self.residual == "after":
            parts.append("residual")
        return "+".join(parts)


def adds_residual(text: str) -> bool:
    """Whether an epilogue as ``str`` makes it, or one of several with commas between, adds a residual."""
    return "residual" in re.split(r"\+|, ", text)
