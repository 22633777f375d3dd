"""A quantized program, and what quantizing did to each of its layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch.export import ExportedProgram

from sparsecc.text import printable


@dataclass(frozen=True)
class LayerNoise:
    """What codes of 8 bits make of one layer, for float inputs.

    Attributes
    ----------
    name : str
        Of the layer in the model.
    signal_to_noise : float or None
        Decibels: energy of the float result over that of the difference. None where the layer computes with float32.
    zeros, zeros_before : float or None
        Share of the weights that are zero, in codes and before.
    """

    name: str
    signal_to_noise: float | None
    zeros: float
    zeros_before: float


@dataclass(frozen=True, eq=False)
class Quantized:
    """What :func:`sparsecc.quantize` gives. ``str()`` is a table of the layers.

    Attributes
    ----------
    program : ExportedProgram
        For :func:`sparsecc.compile`, or ``torch.export.save``.
    layers : tuple of LayerNoise
        Convolutions and linear layers, in order.
    signal_to_noise : float
        Of the whole network's results, in decibels.
    """

    program: ExportedProgram
    layers: tuple[LayerNoise, ...]
    signal_to_noise: float

    def __str__(self) -> str:
        width = max([5, *(len(printable(layer.name)) for layer in self.layers)])
        lines = [f"{'layer':<{width}}  signal to noise  zero weights"]
        for layer in self.layers:
            noise = "float32" if layer.signal_to_noise is None else _decibels(layer.signal_to_noise)
            lines.append(f"{printable(layer.name):<{width}}  {noise:>15}  {layer.zeros:>12.1%}")
        return "\n".join([*lines, "", f"all results: {_decibels(self.signal_to_noise)}"])


def signal_to_noise(exact: Any, found: Any) -> float:
    """Decibels of a tensor over its difference from another; infinite where both are equal."""
    signal, noise = float(exact.double().square().sum()), float((exact - found).double().square().sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def _decibels(value: float) -> str:
    return "no difference" if value == math.inf else f"{value:.1f} dB"
