"""Advice as curves and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sparsecc.page import words

#: of the drawings, in their own units
WIDE, HIGH = 640.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 16.0, 12.0, 32.0
SPARK_WIDE, SPARK_HIGH = 96.0, 28.0
#: the sparsity whose speed-up a row shows, or the nearest one there is
_SHOWN = 0.75


class Net(Protocol):
    """The network over sparsity; see :class:`sparsecc.advice.curves.NetAdvice`."""

    @property
    def n(self) -> int:
        """Output channels of a block."""

    @property
    def us(self) -> tuple[float, ...]:
        """At each sparsity."""

    @property
    def break_even(self) -> float:
        """From there on it is faster."""


class Bounds(Protocol):
    """Between which sparsities pruning is of use."""

    @property
    def lower(self) -> float:
        """0 to 1."""

    @property
    def upper(self) -> float:
        """0 to 1."""

    @property
    def potential(self) -> bool:
        """Whether there is something to gain."""


class Point(Protocol):
    """A layer at one sparsity."""

    @property
    def us(self) -> float:
        """As the compiler would build it."""

    @property
    def bound(self) -> str:
        """``compute`` or ``memory``."""


class Curve(Protocol):
    """A layer over sparsity."""

    @property
    def n(self) -> int:
        """Output channels of a block."""

    @property
    def points(self) -> Sequence[Point]:
        """At each sparsity."""

    @property
    def bounds(self) -> Bounds:
        """Of use between."""


class Layer(Protocol):
    """A layer that can be pruned."""

    @property
    def name(self) -> str:
        """In the model."""

    @property
    def weight(self) -> tuple[int, ...]:
        """Shape."""

    @property
    def pixels(self) -> tuple[int, int]:
        """Of the output."""

    @property
    def dense_us(self) -> float:
        """When dense."""

    @property
    def curves(self) -> Sequence[Curve]:
        """One for each N."""


class Advised(Protocol):
    """What a page needs of a :class:`sparsecc.Advice`; see there."""

    @property
    def target(self) -> str:
        """Name."""

    @property
    def ghz(self) -> float:
        """Clock."""

    @property
    def source(self) -> str:
        """Where the figures are from."""

    @property
    def sparsities(self) -> tuple[float, ...]:
        """Of all times."""

    @property
    def nets(self) -> Sequence[Net]:
        """One for each N."""

    @property
    def layers(self) -> Sequence[Layer]:
        """In the network's order."""


@dataclass(frozen=True)
class Line:
    """A curve of the chart: its label, its points as SVG has them, and where its label goes."""

    label: str
    points: str
    x: float
    y: float


@dataclass(frozen=True)
class Tick:
    """A mark of an axis."""

    text: str
    at: float


@dataclass(frozen=True)
class Cell:
    """A layer with one N: speed-up at the shown sparsity, the useful range (or nothing), and a small curve."""

    speedup: float
    useful: tuple[float, float] | None
    spark: str


@dataclass(frozen=True)
class AdvisedLayer:
    """A row of the table."""

    layer: Layer
    share: float
    bound: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class AdviceView:
    """All that the template draws."""

    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    layers: tuple[AdvisedLayer, ...]
    shown: float


def advice_view(advice: Advised) -> AdviceView:
    """Curves of the network, and a row for each layer."""
    shown = min(range(len(advice.sparsities)), key=lambda i: abs(advice.sparsities[i] - _SHOWN))
    most = max(max(net.us) for net in advice.nets) * 1.05
    dense = sum(layer.dense_us for layer in advice.layers) or 1.0
    return AdviceView(
        lines=_lines(advice, most),
        across=tuple(Tick(f"{percent} %", _x(percent / 100)) for percent in range(0, 101, 20)),
        up=tuple(
            Tick(words.time(most * part) if part else "0", _y(most * part, most))
            for part in (0.0, 0.25, 0.5, 0.75, 1.0)
        ),
        layers=tuple(_layer(layer, advice.sparsities, shown, dense) for layer in advice.layers),
        shown=advice.sparsities[shown],
    )


def _lines(advice: Advised, most: float) -> tuple[Line, ...]:
    return tuple(
        Line(
            f"1x{net.n}",
            " ".join(f"{_x(s):.1f},{_y(us, most):.1f}" for s, us in zip(advice.sparsities, net.us, strict=True)),
            _x(advice.sparsities[-1]), _y(net.us[-1], most),
        )
        for net in advice.nets
    )  # fmt: skip


def _layer(layer: Layer, sparsities: Sequence[float], shown: int, dense: float) -> AdvisedLayer:
    cells = tuple(
        Cell(
            layer.dense_us / curve.points[shown].us,
            (curve.bounds.lower, curve.bounds.upper) if curve.bounds.potential else None,
            _spark([point.us for point in curve.points], sparsities),
        )
        for curve in layer.curves
    )
    return AdvisedLayer(layer, layer.dense_us / dense, layer.curves[0].points[shown].bound, cells)


def _spark(us: Sequence[float], sparsities: Sequence[float]) -> str:
    most = max(us)
    return " ".join(
        f"{share * SPARK_WIDE:.0f},{2 + (SPARK_HIGH - 4) * (1 - time / most):.1f}"
        for share, time in zip(sparsities, us, strict=True)
    )


def _x(share: float) -> float:
    return _LEFT + share * (WIDE - _LEFT - _RIGHT)


def _y(us: float, most: float) -> float:
    return _TOP + (HIGH - _TOP - _BOTTOM) * (1 - us / most)
