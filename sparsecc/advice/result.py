"""What the advisor says of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from sparsecc.advice.curves import Bounds, Curve, LayerAdvice, NetAdvice, Point
from sparsecc.advice.table import advice_table
from sparsecc.errors import UserError

JSON = dict[str, Any]


@dataclass(frozen=True)
class Advice:
    """How fast a network would be on one core if it were pruned. ``str(advice)`` is a table.

    Attributes
    ----------
    target : str
    ghz : float
        Clock that microseconds are computed with.
    source : str
        Where the clock and the cost model's figures are from.
    sparsities : tuple of float
    nets : tuple of NetAdvice
        One for each N.
    layers : tuple of LayerAdvice
        In the network's order.
    notes : tuple of str
        What else is to be said: channels that are gone, and what follows from times in codes of 8 bits.
    coded : tuple of NetAdvice
        The network in codes of 8 bits, for each N; empty where the target has no figures for them.
    """

    target: str
    ghz: float
    source: str
    sparsities: tuple[float, ...]
    nets: tuple[NetAdvice, ...]
    layers: tuple[LayerAdvice, ...]
    notes: tuple[str, ...] = ()
    coded: tuple[NetAdvice, ...] = ()

    @property
    def dense_us(self) -> float:
        """Microseconds of the dense network."""
        return self.nets[0].us[0]

    def bounds(self, n: int) -> Mapping[str, Bounds]:
        """Name of a layer -> its bounds for blocks of ``n`` output channels.

        Raises
        ------
        UserError
            The advice is not for this N.
        """
        known = [net.n for net in self.nets]
        if n not in known:
            raise UserError(f"bounds: found N = {n!r}, expected one of {known}; ask advise for it with n=({n},)")
        return MappingProxyType(
            {layer.name: curve.bounds for layer in self.layers for curve in layer.curves if curve.n == n}
        )

    def to_json(self) -> JSON:
        """Return JSON-ready data that :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Advice:
        """Rebuild what :meth:`to_json` returned."""
        nets, coded = (_nets(data.get(name, ())) for name in ("nets", "coded"))
        layers = tuple(_layer(layer) for layer in data["layers"])
        return cls(
            data["target"],
            data["ghz"],
            data["source"],
            tuple(data["sparsities"]),
            nets,
            layers,
            tuple(data.get("notes", ())),
            coded,
        )

    def __str__(self) -> str:
        return advice_table(self)


def _nets(found: Sequence[Mapping[str, Any]]) -> tuple[NetAdvice, ...]:
    return tuple(NetAdvice(net["n"], tuple(net["us"]), net["break_even"]) for net in found)


def _layer(data: Mapping[str, Any]) -> LayerAdvice:
    curves = tuple(
        Curve(curve["n"], tuple(Point(**point) for point in curve["points"]), Bounds(**curve["bounds"]))
        for curve in data["curves"]
    )
    height, width = data["pixels"]
    given = data.get("given")
    return LayerAdvice(
        data["name"], tuple(data["weight"]), (height, width), data["dense_us"], curves, given and tuple(given)
    )
