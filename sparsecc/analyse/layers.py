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
from sparsecc.ir.layer import Removed
from sparsecc.ir.provenance import BY_MODEL, Provenance
from sparsecc.ir.tensor_type import FLOAT32, HALF
from sparsecc.ir.winograd import Tiling
from sparsecc.ir.winograd_conv import PhaseTiling, is_at_once


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
    removed : Removed or None
        What it had besides, and nobody needs.
    coded : bool
        True where the weights are codes of 8 bits: no tile of Winograd's algorithm has room for them.
    """

    key: str
    name: str
    spec: ConvSpec
    weight: NDArray[np.float32] = field(repr=False)
    removed: Removed | None = None
    coded: bool = False


@dataclass(frozen=True, eq=False)
class FoundLayer:
    """A layer whose structure is known, and about which nothing is decided.

    Attributes
    ----------
    key, name, spec
        As in :class:`LayerInfo`.
    kind : str
        ``"conv"``, ``"linear"`` or ``"depthwise"``.
    structure : Structure or None
        None where it was not looked for: depthwise layers.
    removed, coded
        As in :class:`LayerInfo`.
    """

    key: str
    name: str
    kind: str
    spec: ConvSpec
    structure: Structure | None
    removed: Removed | None = None
    coded: bool = False


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What is to be done with one layer.

    Attributes
    ----------
    key, name, kind, spec, structure
        As in :class:`FoundLayer`.
    decision : str
        ``"sparse"`` or ``"dense"``.
    reason : str
        A sentence, never empty.
    predicted : float or None
        Predicted speed-up over dense, where it played a part; with a ``tile`` that over the direct kernel.
    tile : int or None
        Side of the output tiles of a layer that Winograd's algorithm computes.
    why : Provenance
        By what the algorithm, and dense or sparse, was chosen.
    limit : str
        Why a faster algorithm was given up: what has no room for its weights; empty for most layers.
    removed : Removed or None
        As in :class:`LayerInfo`.
    dtype : str
        What it computes with: ``"float32"``, ``"float16"``, or ``"int8"`` for codes of 8 bits.
    is_shared : bool
        Whether programs for other shapes read the same weights.
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
    why: Provenance = BY_MODEL
    limit: str = ""
    removed: Removed | None = None
    dtype: str = "float32"
    is_shared: bool = False

    @property
    def original(self) -> ConvSpec:
        """The layer as it was given: that is dense."""
        return self.spec if self.removed is None else self.removed.spec

    @property
    def share(self) -> float:
        """Share of the given layer's blocks that there are to compute, 0 to 1."""
        blocks = 1.0 if self.structure is None else self.structure.density
        return blocks * math.prod(self.spec.weight_shape) / math.prod(self.original.weight_shape)

    @property
    def kept(self) -> Structure | None:
        """Rows of blocks that are computed; None for a dense layer."""
        return self.structure if self.decision == "sparse" else None

    @property
    def at_once(self) -> bool:
        """Whether a kernel of few input channels does all of Winograd's steps: a dense one."""
        return self.kept is None and is_at_once(self.spec, self.tile)

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
        """Bytes of the dense weight; a code has one."""
        return (1 if self.is_coded else 4) * math.prod(self.original.weight_shape)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the weight as decided; for sparse layers ``data``, ``indices`` and ``indptr``."""
        if self.is_coded:
            return _code_bytes(self.spec, self.kept)
        nbytes = weight_bytes(self.spec, self.kept, self.tile)
        return nbytes - 2 * self._weights if self.dtype == HALF else nbytes

    @property
    def is_coded(self) -> bool:
        """Whether it computes with codes."""
        return self.dtype not in (FLOAT32.dtype, HALF)

    @property
    def _weights(self) -> int:
        """Weights of the direct kernel."""
        if self.kept is None:
            return math.prod(self.spec.weight_shape)
        return self.kept.nnzb * self.kept.block_n * self.kept.taps(self.spec.taps)

    @property
    def added_bytes(self) -> int:
        """Those of them that the direct kernel would not need for the same blocks."""
        return 0 if self.tile is None else self.kept_bytes - weight_bytes(self.spec, self.kept, None)

    @property
    def index_bytes(self) -> int:
        """Bytes of a kept block's index."""
        return BYTES[OFFSET] if self.is_coded else _index_bytes(self.spec, self.computed)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data that :meth:`from_json` reads."""
        return {
            "key": self.key,
            "name": self.name,
            "kind": self.kind,
            "spec": _spec_json(self.spec),
            "structure": self.structure.to_json() if self.structure else None,
            "decision": self.decision,
            "reason": self.reason,
            "predicted": self.predicted,
            "tile": self.tile,
            "limit": self.limit,
            "added_bytes": self.added_bytes,
            "chosen_by": self.why.by,
            "chosen_from": self.why.source,
            **(
                {}
                if self.removed is None
                else {"removed": asdict(self.removed) | {"spec": _spec_json(self.removed.spec)}}
            ),
            **({} if self.dtype == FLOAT32.dtype else {"dtype": self.dtype}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LayerPlan:
        """Rebuild what :meth:`to_json` returned."""
        spec, gone = _spec(data["spec"]), data.get("removed")
        removed = None if gone is None else Removed(**gone | {"spec": _spec(gone["spec"])})
        found = data["structure"]
        structure = Structure.from_json(found, oc=spec.oc, groups=spec.groups) if found else None
        # plans of before records chose algorithms do not say by what
        why = Provenance(data.get("chosen_by", BY_MODEL.by), data.get("chosen_from", ""))
        kept = {name: value for name, value in data.items() if name not in _DERIVED}
        return cls(**kept | {"spec": spec, "structure": structure, "why": why, "removed": removed})


#: what :meth:`LayerPlan.to_json` says besides the fields
_DERIVED = ("added_bytes", "chosen_by", "chosen_from")


def _spec_json(spec: ConvSpec) -> dict[str, Any]:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(spec).items()}


def _spec(data: dict[str, Any]) -> ConvSpec:
    fields: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
    return ConvSpec(**fields)


def weight_bytes(spec: ConvSpec, kept: Structure | None, tile: int | None) -> int:
    """Bytes of a layer's weights, dense (None) or of the kept blocks, by an algorithm: the side of a tile, or None."""
    if kept is None and is_at_once(spec, tile):
        return 4 * len(PhaseTiling(spec).order) * spec.oc
    tiling = None if tile is None else Tiling(spec, tile)
    computed = spec if tiling is None else tiling.product_spec
    if kept is None:
        return 4 * math.prod(computed.weight_shape)
    blocks = kept if tiling is None else product_structure(kept, tiling)
    weights = blocks.nnzb * blocks.block_n * blocks.taps(computed.taps)
    return 4 * (weights + blocks.rows + 1) + blocks.nnzb * _index_bytes(spec, blocks)


def _code_bytes(spec: ConvSpec, kept: Structure | None) -> int:
    """Bytes of a layer's codes, of which instructions take four at once, with the offsets of kept blocks."""
    if kept is None:
        return math.prod(spec.weight_shape)
    return kept.nnzb * (kept.block_n * kept.taps(spec.taps) + BYTES[OFFSET]) + 4 * (kept.rows + 1)


def _index_bytes(spec: ConvSpec, computed: Structure | None) -> int:
    return BYTES[OFFSET if computed is None or spec.is_linear or spec.is_depthwise else computed.index]
