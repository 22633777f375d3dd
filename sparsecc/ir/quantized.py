"""Convolutions and linear layers of 8-bit integers, and what the integers stand for.

A *code* ``q`` stands for the value ``scale * (q - zero_point)``. Activations are uint8 or int8 codes with one scale and
zero point a tensor; weights are int8 codes whose zero point is 0, with a scale for each output channel: a pruned weight
is the code 0, exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation
from sparsecc.ir.operator import Channels, Operator, Order
from sparsecc.ir.tensor_type import FLOAT32, TensorType

CodeType = Literal["uint8", "int8"]
Codes = NDArray[np.uint8] | NDArray[np.int8]
#: attributes of functions that turn values to codes, and codes to values: a :class:`Coded` as JSON
QUANTIZE, DEQUANTIZE = "sparsecc.quantize", "sparsecc.dequantize"
#: largest magnitude of a product of a weight and a code less its zero point: sums of more products than
#: ``MOST_SUMMED`` may not fit 32 bits
_LARGEST_PRODUCT = 128 * 255
MOST_SUMMED = (2**31 - 1) // _LARGEST_PRODUCT


@dataclass(frozen=True)
class Quantization:
    """What the codes of a tensor stand for.

    Attributes
    ----------
    scale : float
        A step; finite and above zero.
    zero_point : int
        The code of 0.0, within the type's range.
    dtype : str
        ``uint8`` or ``int8``.
    """

    scale: float
    zero_point: int
    dtype: CodeType

    def __str__(self) -> str:
        return f"{self.dtype} * {self.scale:.3g}{-self.zero_point:+d}"

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and largest code of the type."""
        return (0, 255) if self.dtype == "uint8" else (-128, 127)

    @property
    def type(self) -> TensorType:
        """Of a tensor of codes: padding and gaps between rows hold the code of 0.0."""
        return TensorType(self.dtype, self.zero_point & 255)

    def codes(self, values: NDArray[np.float32], *, low: int, high: int) -> Codes:
        """Codes of float32 values, rounded half to even, within ``low..high``; NaN becomes ``low``."""
        steps = np.rint(values * np.float32(1.0 / self.scale)) + np.float32(self.zero_point)
        clamped = np.clip(np.nan_to_num(steps, nan=low), low, high)
        codes: Codes = clamped.astype(np.uint8 if self.dtype == "uint8" else np.int8)
        return codes

    def values(self, codes: Codes) -> NDArray[np.float32]:
        """What codes stand for, float32."""
        return (codes.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


@dataclass(frozen=True)
class Coded:
    """How values become codes: what these stand for, and the least and the largest that are used."""

    quantization: Quantization
    low: int
    high: int

    def to_text(self) -> str:
        """As JSON, for :meth:`from_text`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Coded:
        """What :meth:`to_text` wrote."""
        data = json.loads(text)
        return cls(Quantization(**data["quantization"]), data["low"], data["high"])


@dataclass(frozen=True, eq=False)
class QuantizedConv(Operator):
    """A convolution or linear layer of codes, with what follows it.

    With codes ``x`` of ``source``, and ``r`` of ``residual``::

        acc   = sum(weight * (x - source.zero_point))                           exact, int32
        value = acc * (source.scale * scales[oc]) + bias[oc]                    float32
        value = activation(value + residual.scale * (r - residual.zero_point))  float32
        y     = clamp(round(value / result.scale) + result.zero_point, low, high)

    ``round`` is to the nearest integer, half to even. Pixels of the padding are ``source.zero_point`` and add nothing.
    PyTorch's dequantize, float convolution and quantize round in other places: its results are at most one step away,
    where a value is near the middle between two codes. A clamp (ReLU, ReLU6) is in ``low`` and ``high``, and no
    ``activation``; whatever else an activation is is computed in float32. Where ``result`` is None, ``value`` is the
    result, ``low`` and ``high`` mean nothing, and a clamp is an ``activation`` like others.

    Attributes
    ----------
    key, name : str
        As of :class:`~sparsecc.ir.layer.ConvLayer`.
    spec : ConvSpec
    weight : numpy.ndarray
        int8 ``(oc, ic / groups, kh, kw)``.
    scales : numpy.ndarray
        float32 ``(oc,)``, of the weights.
    bias : numpy.ndarray
        float32 ``(oc,)``.
    source : Quantization
        Of the first input.
    result : Quantization or None
        Of the output; None for float32.
    low, high : int
        Bounds of the codes stored, within ``result``'s type.
    activation : Activation or None
    residual : Quantization or None
        Of the second input, which has the output's shape; None where there is none.
    """

    key: str
    name: str
    spec: ConvSpec
    weight: NDArray[np.int8]
    scales: NDArray[np.float32]
    bias: NDArray[np.float32]
    source: Quantization
    result: Quantization | None
    low: int = 0
    high: int = 0
    activation: Activation | None = None
    residual: Quantization | None = None

    def __str__(self) -> str:
        """See :class:`Operator`."""
        parts = ["bias"]
        if self.residual is not None:
            parts.append("residual")
        if self.activation is not None:
            parts.append(str(self.activation))
        parts.append("float32" if self.result is None else f"{self.result.dtype} {self.low}..{self.high}")
        return f"{self.kernel} {self.spec.kh}x{self.spec.kw}, {'+'.join(parts)}"

    @property
    def kernel(self) -> str:
        """By shape alone, as of float32 layers."""
        return "qlinear" if self.spec.is_linear else "qdepthwise" if self.spec.is_depthwise else "qconv"

    @property
    def planes(self) -> ConvSpec | None:
        """See :class:`Operator`."""
        return None if self.spec.is_linear else self.spec

    @property
    def is_window(self) -> bool:
        """See :class:`Operator`."""
        return self.spec.is_depthwise

    @property
    def clears_gaps(self) -> bool:
        """See :class:`Operator`."""
        return False

    @property
    def weights(self) -> tuple[NDArray[Any], ...]:
        """See :class:`Operator`."""
        return (self.weight,)

    @property
    def channels(self) -> Channels:
        """See :class:`Operator`."""
        return "sums" if self.spec.sums_all else "keeps" if self.spec.keeps_channels else "fixed"

    @property
    def types(self) -> tuple[TensorType, ...]:
        """See :class:`Operator`."""
        residual = () if self.residual is None else (self.residual.type,)
        return (self.source.type, *residual, FLOAT32 if self.result is None else self.result.type)

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.spec.n, self.spec.ic, self.spec.oc

    @property
    def step(self) -> float:
        """What values are divided by before they are rounded; 1 for a float32 result."""
        return 1.0 if self.result is None else self.result.scale

    @property
    def factors(self) -> NDArray[np.float32]:
        """What sums are multiplied with, float32 ``(oc,)``: steps of the result, where there is no ``activation``."""
        unit = 1.0 if self.activation is not None else self.step
        return (self.source.scale * self.scales.astype(np.float64) / unit).astype(np.float32)

    @property
    def offsets(self) -> NDArray[np.float32]:
        """The bias in the unit of :attr:`factors`, float32 ``(oc,)``; the result's zero point is not in it."""
        unit = 1.0 if self.activation is not None else self.step
        return (self.bias.astype(np.float64) / unit).astype(np.float32)

    @property
    def zero_sums(self) -> NDArray[np.int32]:
        """What sums begin with where codes are multiplied as they are, int32 ``(oc,)``: minus those of zero points."""
        sums: NDArray[np.int64] = self.weight.sum(axis=(1, 2, 3), dtype=np.int64)
        return (-self.source.zero_point * sums).astype(np.int32)

    def reordered(self, reads: Order, writes: Order, constants: Mapping[int, tuple[int, Order]]) -> QuantizedConv:
        """See :class:`Operator`."""
        weight, scales, bias = self.weight, self.scales, self.bias
        if writes is not None:
            weight, scales, bias = weight[writes], scales[writes], bias[writes]
        if reads is not None and self.spec.sums_all:
            weight = np.take(weight, reads, axis=1)
        return replace(self, weight=weight, scales=scales, bias=bias)
