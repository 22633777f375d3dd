"""Tables that fit the width there is: unimportant columns go first, then names are cut, and labels never."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from sparsecc.cli.console import safe_text

_GAP = 2
_NAME_WIDTH = 28  # below it columns are left out before names are cut
_SHORTEST = 8  # a name that is cut further says nothing


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes
    ----------
    head : str
    left : bool
        Its side.
    drop : int
        When it may be left out: highest first, 0 never.
    whole : bool
        Of the first column: its cells are labels, or what people type, and are never cut.
    """

    head: str
    left: bool = False
    drop: int = 0
    whole: bool = False


Cell = str | Text


def print_table(console: Console, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> frozenset[str]:
    """Print rows below their heads, and give the heads of the columns that there was room for.

    The first column holds names and is the only one to be shortened, as far as names stay different. A table that is
    too wide without all that may be left out has lines of more than the width there is.
    """
    cells = [[safe_text(cell) for cell in row] for row in rows]
    cells.insert(0, [Text(column.head, style="bold") for column in columns])
    shown, widths = _fit(columns, _widths(cells), width=console.width)
    names = {row[0].plain for row in cells}
    if len({_cut(row[0], widths[0]).plain for row in cells}) < len(names):
        widths[0] = max(row[0].cell_len for row in cells)
    for number, row in enumerate(cells):
        console.print(_line(row, columns, shown, widths), soft_wrap=True)
        if number == 0:
            console.print("-" * (sum(widths) + _GAP * (len(widths) - 1)), style="dim", soft_wrap=True)
    return frozenset(columns[i].head for i in shown)


def legend(parts: Mapping[str, str], shown: Iterable[str]) -> str:
    """What the columns mean: the sentences of those that are shown, by their heads."""
    heads = set(shown)
    return " ".join(text for head, text in parts.items() if head in heads)


def _widths(cells: Sequence[Sequence[Text]]) -> list[int]:
    return [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]


def _fit(columns: Sequence[Column], natural: Sequence[int], *, width: int) -> tuple[list[int], list[int]]:
    """Numbers of the columns to show, and their widths."""
    shown = list(range(len(columns)))
    first = columns[0]
    name = natural[0] if first.whole else min(natural[0], _NAME_WIDTH)
    while (rest := sum(natural[i] + _GAP for i in shown[1:])) + name > width:
        droppable = [i for i in shown[1:] if columns[i].drop]
        if not droppable:
            break
        shown.remove(max(droppable, key=lambda i: columns[i].drop))
    least = natural[0] if first.whole else max(len(first.head), min(natural[0], _SHORTEST))
    return shown, [max(least, min(natural[0], width - rest)), *(natural[i] for i in shown[1:])]


def _line(row: Sequence[Text], columns: Sequence[Column], shown: Sequence[int], widths: Sequence[int]) -> Text:
    line = Text()
    for i, width in zip(shown, widths, strict=True):
        cell = row[i] if i else _cut(row[i], width)
        cell.align("left" if columns[i].left else "right", width)
        line.append_text(cell).append(" " * _GAP)
    line.rstrip()
    return line


def _cut(text: Text, width: int) -> Text:
    """Cut the middle out of a long name: names tell most at their ends."""
    if text.cell_len <= width:
        return text
    head = max(0, (width - 2) // 2)
    return Text(text.plain[:head] + ".." + text.plain[head + 2 - width :], style=text.style)
