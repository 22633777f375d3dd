"""What a page says of a whole network: tiles with its totals, a strip of its time, a table of its kinds of layers."""

from __future__ import annotations

from dataclasses import dataclass

from sparsecc.analyse.said import algorithm_lines
from sparsecc.analyse.table import indices_text
from sparsecc.page import words
from sparsecc.page.rows import Row
from sparsecc.page.sides import Side

#: width of the strip in units of its drawing
_WIDE = 1000.0


@dataclass(frozen=True)
class Tile:
    """A total: what it is of, the number, and what stands below it."""

    head: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Piece:
    """A part of the strip."""

    name: str
    kind: str
    x: float
    width: float
    share: float


@dataclass(frozen=True)
class Kind:
    """A kind of layers: how many, and their share of the multiply-adds, the weights and the time (0 to 1)."""

    name: str
    count: int
    macs: float
    nbytes: float
    time: float | None


def tiles_of(side: Side) -> list[Tile]:
    """Totals of a network."""
    plan, totals = side.plan, side.plan.totals
    sparse = sum(layer.decision == "sparse" for layer in plan.layers)
    share = totals.kept_macs / totals.dense_macs if totals.dense_macs else 1.0
    added = sum(layer.added_bytes for layer in plan.layers)
    more = f"; Winograd's algorithm adds {words.nbytes(added)}" if added > 0 else ""
    return [
        *_time_tiles(side),
        Tile("layers with weights", f"{len(plan.layers)}", f"{sparse} sparse, {len(plan.layers) - sparse} dense"),
        Tile(
            "multiply-adds", words.count(totals.kept_macs),
            f"{words.kept(share)} of {words.count(totals.dense_macs)} when dense",
        ),
        Tile(
            "weights", words.nbytes(totals.kept_bytes),
            f"{words.nbytes(totals.dense_bytes)} when dense; {indices_text(plan.layers)}{more}",
        ),
        *([Tile("memory", words.nbytes(side.facts.memory_bytes), "weights and one instance's buffers")]
          if side.facts.memory_bytes else []),
    ]  # fmt: skip


def _time_tiles(side: Side) -> list[Tile]:
    tiles, measured = [], side.measured
    if measured is not None:
        spread = f"p10 to p90 {words.time(measured.p10_s * 1e6)} to {words.time(measured.p90_s * 1e6)}"
        threads = f"{measured.threads} thread{'' if measured.threads == 1 else 's'}"
        tiles.append(Tile("measured", words.time(measured.median_s * 1e6), f"{spread}, {threads}"))
    if side.predicted_us is not None:
        tiles.append(Tile("predicted", words.time(side.predicted_us), f"one core at {side.facts.ghz:g} GHz"))
    return tiles


def lines_of(side: Side) -> list[str]:
    """What else is to be said of the whole network."""
    facts = side.facts
    lines = [*algorithm_lines(facts.plan.layers), facts.accuracy]
    lines += [f"figures of the cost model: {facts.figures}"] if facts.figures else []
    return [line for line in [*lines, *(f"note: {note}" for note in facts.notes)] if line]


def kind_of(row: Row) -> str:
    """``sparse``, ``dense`` or ``other``: what a row counts as."""
    return "other" if row.layer is None else row.layer.decision


def strip_of(side: Side) -> list[Piece]:
    """The network's time from the first kernel to the last, in units of which the strip has 1000."""
    pieces, x = [], 0.0
    for row in side.rows:
        if row.share is not None and row.kernels:
            pieces.append(Piece(row.name, kind_of(row), x, row.share * _WIDE, row.share))
            x += row.share * _WIDE
    return pieces


def kinds_of(side: Side) -> list[Kind]:
    """Kinds of layers, those that take most of the time first."""
    groups: dict[str, list[Row]] = {}
    for row in side.rows:
        groups.setdefault(_kind_name(row), []).append(row)
    macs = sum(layer.kept_macs for layer in side.plan.layers) or 1
    nbytes = sum(layer.kept_bytes for layer in side.plan.layers) or 1
    kinds = [
        Kind(
            name, len(rows),
            sum(row.layer.kept_macs for row in rows if row.layer) / macs,
            sum(row.layer.kept_bytes for row in rows if row.layer) / nbytes,
            sum(row.share or 0.0 for row in rows) if any(row.share is not None for row in side.rows) else None,
        )
        for name, rows in groups.items()
    ]  # fmt: skip
    return sorted(kinds, key=lambda kind: (-(kind.time or 0.0), -kind.macs))


def _kind_name(row: Row) -> str:
    layer = row.layer
    if layer is None:
        return f"{row.kernels[0].kind} (no weights)" if row.kernels else "no weights"
    spec = layer.spec
    size = "linear" if spec.is_linear else f"{spec.kh}x{spec.kw} {'depthwise' if spec.is_depthwise else 'convolution'}"
    return f"{size}, {layer.decision}{f', {layer.dtype}' if layer.is_coded else ''}"
