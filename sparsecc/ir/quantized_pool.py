"""Maximum pooling of 8-bit codes: their order is that of the values that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.operator import Channels, Operator
from sparsecc.ir.quantized import CodeType
from sparsecc.ir.tensor_type import TensorType


@dataclass(frozen=True)
class QuantizedPool(Operator):
    """The largest code of every window; padding has less than every code.

    Attributes
    ----------
    key, name : str
        As of :class:`~sparsecc.ir.layer.PoolLayer`.
    spec : ConvSpec
        A depthwise window.
    dtype : str
        Of codes read and written.
    """

    key: str
    name: str
    spec: ConvSpec
    dtype: CodeType

    kernel: ClassVar = "qpool"
    is_window: ClassVar = True
    clears_gaps: ClassVar = False
    channels: ClassVar[Channels] = "keeps"

    def __str__(self) -> str:
        """See :class:`Operator`."""
        return f"qpool {self.spec.kh}x{self.spec.kw}, {self.dtype}"

    @property
    def planes(self) -> ConvSpec:
        """See :class:`Operator`."""
        return self.spec

    @property
    def types(self) -> tuple[TensorType, ...]:
        """See :class:`Operator`; what lies in gaps does not matter to it."""
        return TensorType(self.dtype), TensorType(self.dtype)

    @property
    def images(self) -> tuple[int, int, int]:
        """See :class:`Operator`."""
        return self.spec.n, self.spec.ic, self.spec.oc
