"""The plan of a network: for every conv and linear layer its structure, the decision and the reason."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from sparsecc.analyse.decide import Speedup, decide, default_speedup, kind_of
from sparsecc.analyse.layers import FoundLayer, LayerInfo, LayerPlan
from sparsecc.analyse.structure import Structure, find_structure
from sparsecc.analyse.table import plan_table
from sparsecc.analyse.winograd import Gain, with_winograd
from sparsecc.errors import InternalError, UserError
from sparsecc.text import printable

__all__ = ["LayerInfo", "LayerPlan", "Plan", "Totals", "find_layers", "kept_dense", "make_plan", "plan_layers"]


#: id of weights -> these, and their structure
Structures = dict[int, tuple[Any, Structure]]


class Totals(NamedTuple):
    """Sums over a plan's layers: multiply-adds, and bytes of weights (kept: with indices), before and after."""

    dense_macs: int
    kept_macs: int
    dense_bytes: int
    kept_bytes: int


@dataclass(frozen=True, eq=False)
class Plan:
    """Every conv and linear layer of a network, in order. ``str(plan)`` is a table of at most 120 columns."""

    layers: tuple[LayerPlan, ...]

    def __str__(self) -> str:
        totals = self.totals
        return plan_table(self.layers, macs=totals[:2], nbytes=totals[2:])

    @property
    def totals(self) -> Totals:
        """Sums over all layers."""
        return Totals(
            dense_macs=sum(layer.original.macs for layer in self.layers),
            kept_macs=sum(layer.kept_macs for layer in self.layers),
            dense_bytes=sum(layer.dense_bytes for layer in self.layers),
            kept_bytes=sum(layer.kept_bytes for layer in self.layers),
        )

    def with_codes(self, keys: Container[str]) -> Plan:
        """The same plan, whose layers of these keys compute with codes of 8 bits."""
        return Plan(tuple(replace(one, dtype="int8") if one.key in keys else one for one in self.layers))

    def to_json(self) -> dict[str, Any]:
        """Return JSON-ready data that :meth:`from_json` reads."""
        return {"layers": [layer.to_json() for layer in self.layers], "totals": self.totals._asdict()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """Rebuild what :meth:`to_json` returned; the totals are computed anew."""
        return cls(tuple(LayerPlan.from_json(layer) for layer in data["layers"]))


def make_plan(
    layers: Sequence[LayerInfo],
    *,
    keep_dense: Sequence[str] = (),
    min_speedup: float = 1.05,
    speedup: Speedup | None = None,
    winograd: Gain | None = None,
) -> Plan:
    """Analyse every layer and decide between sparse and dense.

    Parameters
    ----------
    layers : sequence of LayerInfo
        The network's conv and linear layers.
    keep_dense : sequence of str, or str
        Names of layers to leave dense: exact, or shell patterns such as ``"head.*"``.
    min_speedup : float
        Smallest predicted speed-up over dense for which a layer becomes sparse.
    speedup : callable, optional
        Predicts it from a layer's ``ConvSpec`` and ``Structure``; by default
        :func:`~sparsecc.analyse.decide.default_speedup`.
    winograd : callable, optional
        Predicts from a dense layer's ``ConvSpec`` what Winograd's algorithm gains; without it no layer uses it.

    Returns
    -------
    Plan
        One entry a layer, in the given order.

    Raises
    ------
    UserError
        When ``keep_dense`` names no layer of the network.
    InternalError
        When two layers share a key, or a weight does not fit its ``ConvSpec``.
    """
    return plan_layers(
        find_layers(layers), keep_dense=keep_dense, min_speedup=min_speedup, speedup=speedup, winograd=winograd
    )


def find_layers(layers: Sequence[LayerInfo], *, known: Structures | None = None) -> list[FoundLayer]:
    """Look for every layer's structure. Raises :class:`InternalError` as :func:`make_plan` does.

    ``known`` has those of the very same weights, in a network for another shape, and takes up the new ones.
    """
    _check_layers(layers)
    return [_found(layer, {} if known is None else known) for layer in layers]


def plan_layers(
    layers: Sequence[FoundLayer],
    *,
    keep_dense: Sequence[str] = (),
    min_speedup: float = 1.05,
    speedup: Speedup | None = None,
    coded_speedup: Speedup | None = None,
    winograd: Gain | None = None,
) -> Plan:
    """The part of :func:`make_plan` that needs no weights; ``coded_speedup`` is of layers of codes."""
    dense = kept_dense(layers, keep_dense)
    asked = {False: speedup or default_speedup, True: coded_speedup or speedup or default_speedup}
    decided = (
        (
            _decided(layer, kept_dense=layer.name in dense, min_speedup=min_speedup, speedup=asked[layer.coded]),
            layer.coded,
        )
        for layer in layers
    )
    return Plan(tuple(with_winograd(layer, None if coded else winograd) for layer, coded in decided))


def kept_dense(layers: Iterable[FoundLayer], keep_dense: Sequence[str]) -> set[str]:
    """Names of the layers that ``keep_dense`` means."""
    patterns = [keep_dense] if isinstance(keep_dense, str) else keep_dense
    return _matching(patterns, names=[layer.name for layer in layers])


def _found(layer: LayerInfo, known: Structures) -> FoundLayer:
    kind, weight = kind_of(layer.spec), layer.weight
    structure = None
    if kind != "depthwise":
        same, structure = known.get(id(weight), (None, None))
        if same is not weight or structure is None:
            structure = find_structure(weight, groups=layer.spec.groups)
            known[id(weight)] = weight, structure
    return FoundLayer(layer.key, layer.name, kind, layer.spec, structure, layer.removed, layer.coded)


def _decided(layer: FoundLayer, *, kept_dense: bool, min_speedup: float, speedup: Speedup) -> LayerPlan:
    decision, reason, predicted = decide(
        layer.spec, layer.structure, kept_dense=kept_dense, min_speedup=min_speedup, speedup=speedup
    )
    return LayerPlan(
        layer.key,
        layer.name,
        layer.kind,
        layer.spec,
        layer.structure,
        decision,
        reason,
        predicted,
        removed=layer.removed,
    )


def _check_layers(layers: Iterable[LayerInfo]) -> None:
    keys: set[str] = set()
    for layer in layers:
        where = f"layer {printable(layer.name)}"
        if layer.key in keys:
            raise InternalError(f"{where}: another layer has its key {layer.key!r}, expected unique keys")
        keys.add(layer.key)
        if layer.weight.shape != layer.spec.weight_shape:
            found, expected = layer.weight.shape, layer.spec.weight_shape
            raise InternalError(f"{where}: weight of shape {found}, expected {expected}")


def _matching(patterns: Iterable[str], *, names: Sequence[str]) -> set[str]:
    """Names that a pattern matches; an exact name wins over its reading as a pattern."""
    found: set[str] = set()
    for pattern in patterns:
        matches = {pattern} if pattern in names else {name for name in names if fnmatchcase(name, pattern)}
        if not matches:
            raise UserError(f"keep_dense: no layer is called {pattern!r}; {_nearest(pattern, names=names)}")
        found |= matches
    return found


def _nearest(pattern: str, *, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:3]
    if not near:
        return "the network has no conv or linear layer"
    return f"did you mean {' or '.join(map(repr, near))}?"
