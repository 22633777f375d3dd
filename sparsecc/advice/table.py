"""Advice as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Protocol

from sparsecc.advice.curves import Bounds, Curve, LayerAdvice, NetAdvice
from sparsecc.text import printable

_WIDTH = 120
#: the sparsity whose speed-up a layer's line shows, or the nearest one there is
_SHOWN = 0.75


class Shown(Protocol):
    """What an advice has to show."""

    @property
    def target(self) -> str:
        """Name of the target."""

    @property
    def ghz(self) -> float:
        """Clock."""

    @property
    def source(self) -> str:
        """Where the clock and the cost model's figures are from."""

    @property
    def sparsities(self) -> tuple[float, ...]:
        """Of all times."""

    @property
    def nets(self) -> tuple[NetAdvice, ...]:
        """The network, for each N."""

    @property
    def coded(self) -> tuple[NetAdvice, ...]:
        """The network in codes of 8 bits; empty where nothing is known of them."""

    @property
    def layers(self) -> tuple[LayerAdvice, ...]:
        """Its layers."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be said."""


def advice_table(advice: Shown) -> str:
    """Write the network's times, a line for each layer, and what the numbers mean."""
    tables = [_grid(net_rows(advice))] + ([_grid(layer_rows(advice))] if advice.layers else [])
    legend = "\n".join(textwrap.wrap(legend_of(advice), _WIDTH))
    return "\n\n".join([*tables, *([legend] if advice.layers else []), *advice.notes, closing(advice)])


def net_rows(advice: Shown) -> list[tuple[str, ...]]:
    """Heads and rows: milliseconds of the network at every sparsity, and its break-even."""
    heads = ("net, ms", *(_percent(share) for share in advice.sparsities), "break-even")
    named = [*((f"1x{net.n}", net) for net in advice.nets), *((f"1x{net.n} int8", net) for net in advice.coded)]
    return [heads, *((name, *(_milliseconds(us) for us in net.us), _lower(net.break_even)) for name, net in named)]


def layer_rows(advice: Shown) -> list[tuple[str, ...]]:
    """Heads and rows: a layer's dense time, what bounds the sparse one; for every N a speed-up, and its bounds."""
    shown = _shown(advice)
    each = [(f"1x{net.n} {_percent(advice.sparsities[shown])}", "useful") for net in advice.nets]
    heads = ("layer", "weight", "output", "us", "bound by", *(head for heads in each for head in heads))
    return [heads, *(_row(layer, shown) for layer in advice.layers)]


def legend_of(advice: Shown) -> str:
    """What the columns of the layers' table mean."""
    return " ".join(legend_parts(advice).values())


def legend_parts(advice: Shown) -> dict[str, str]:
    """The same by the heads of the columns."""
    share = _percent(advice.sparsities[_shown(advice)])
    return {
        "us": "us: the dense layer on one core.",
        "bound by": "bound by: what most of the sparse layer's time is, with the first N at "
        f"{share}: its kept blocks (compute), or the rest of its work (memory).",
        f"1x{advice.nets[0].n} {share}": f"{share}: predicted speed-up over dense with so many blocks pruned, of the "
        "layer as it would be built.",
        "useful": "useful: from the sparsity above which the sparse layer is faster to the one at which kept blocks "
        "take as long as the rest, beyond which more pruning helps little; - where there is nothing to gain.",
    }


def closing(advice: Shown) -> str:
    """What the numbers are made from."""
    return f"predicted for {advice.target}, one core at {advice.ghz:g} GHz ({advice.source}); nothing was compiled"


def _row(layer: LayerAdvice, shown: int) -> tuple[str, ...]:
    height, width = layer.pixels
    bound = layer.curves[0].points[shown].bound
    cells = [cell for curve in layer.curves for cell in _cells(layer, curve, shown)]
    weight, name = "x".join(map(str, layer.weight)), printable(layer.name)
    if layer.given is not None:
        weight += f" of {'x'.join(map(str, layer.given))}"
    return (name, weight, f"{height}x{width}", f"{layer.dense_us:.4g}", bound, *cells)


def _cells(layer: LayerAdvice, curve: Curve, shown: int) -> tuple[str, str]:
    return f"{layer.dense_us / curve.points[shown].us:.2f}x", _useful(curve.bounds)


def _useful(bounds: Bounds) -> str:
    return f"{100 * bounds.lower:.0f}-{100 * bounds.upper:.0f} %" if bounds.potential else "-"


def _shown(advice: Shown) -> int:
    return min(range(len(advice.sparsities)), key=lambda i: abs(advice.sparsities[i] - _SHOWN))


def _milliseconds(us: float) -> str:
    """Three digits, of small numbers three places: columns stay narrow."""
    return f"{us / 1e3:.3g}" if us >= 100 else f"{us / 1e3:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _lower(share: float) -> str:
    return "never" if share >= 1 else f"{100 * share:.0f} %"


def _grid(rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(_cell(cell, i, widths[i]) for i, cell in enumerate(row)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _cell(text: str, column: int, width: int) -> str:
    return text.rjust(width) if column else text.ljust(width)
