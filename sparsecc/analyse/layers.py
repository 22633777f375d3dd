"""One conv or linear layer: as the importer found it, and what is to be done with it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.decide import Decision
from sparsecc.analyse.structure import Structure, product_structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.indices import BYTES, OFFSET
from sparsecc.ir.winograd import Tiling


@dataclass(frozen=True, eq=False)
class LayerInfo:
    """A conv or linear layer as the importer found it.

    Attributes
    ----------
    key : str
        Names the layer everywhere, unique in the network.
    name : str
        The layer's name in the PyTorch model.
    spec : ConvSpec
        Its shape.
    weight : numpy.ndarray
        float32 ``(oc, ic / groups, kh, kw)``, masks resolved, batch norm folded.
    """

    key: str
    name: str
    spec: ConvSpec
    weight: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What is to be done with one layer.

    Attributes
    ----------
    key, name, spec
        As in :class:`LayerInfo`.
    kind : str
        ``"conv"``, ``"linear"`` or ``"depthwise"``.
    structure : Structure or None
        None where it was not looked for: depthwise layers.
    decision : str
        ``"sparse"`` or ``"dense"``.
    reason : str
        A sentence, never empty.
    predicted : float or None
        Predicted speed-up over dense, where it played a part; with a ``tile`` that over the direct kernel.
    tile : int or None
        Side of the output tiles of a layer that Winograd's algorithm computes.
    """

    key: str
    name: str
    kind: str
    spec: ConvSpec
    structure: Structure | None
    decision: Decision
    reason: str
    predicted: float | None = None
    tile: int | None = None

    @property
    def kept(self) -> Structure | None:
        """Rows of blocks that are computed; None for a dense layer."""
        return self.structure if self.decision == "sparse" else None

    @cached_property
    def computed(self) -> Structure | None:
        """Rows of blocks of the convolution that is computed: with a ``tile`` that of all products."""
        if self.tile is None or self.kept is None:
            return self.kept
        return product_structure(self.kept, Tiling(self.spec, self.tile))

    @property
    def rearranged(self) -> bool:
        """Whether rows are computed whose channels are not neighbours."""
        return self.kept is not None and not self.kept.aligned

    @property
    def kept_macs(self) -> int:
        """Multiply-adds of the layer as decided, filled slots and explicit zeros included."""
        if self.kept is None:
            return self.spec.macs
        pixels = self.spec.n * self.spec.oh * self.spec.ow
        return self.kept.nnzb * self.kept.block_n * self.kept.taps(self.spec.taps) * pixels

    @property
    def dense_bytes(self) -> int:
        """Bytes of the dense float32 weight."""
        return 4 * math.prod(self.spec.weight_shape)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the weight as decided; for sparse layers ``data``, ``indices`` and ``indptr``."""
        spec = self.spec if self.tile is None else Tiling(self.spec, self.tile).product_spec
        if self.computed is None:
            return 4 * math.prod(spec.weight_shape)
        weights = self.computed.nnzb * self.computed.block_n * self.computed.taps(spec.taps)
        return 4 * (weights + self.computed.rows + 1) + self.computed.nnzb * self.index_bytes

    @property
    def index_bytes(self) -> int:
        """Bytes of a kept block's index."""
        return BYTES[OFFSET if self.computed is None or self.kind != "conv" else self.computed.index]

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data that :meth:`from_json` reads."""
        return {
            "key": self.key,
            "name": self.name,
            "kind": self.kind,
            "spec": {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self.spec).items()},
            "structure": self.structure.to_json() if self.structure else None,
            "decision": self.decision,
            "reason": self.reason,
            "predicted": self.predicted,
            "tile": self.tile,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LayerPlan:
        """Rebuild what :meth:`to_json` returned."""
        fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data["spec"].items()}
        spec = ConvSpec(**fields)
        found = data["structure"]
        structure = Structure.from_json(found, oc=spec.oc, groups=spec.groups) if found else None
        return cls(**data | {"spec": spec, "structure": structure})
