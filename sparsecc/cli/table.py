"""Tables that fit the width there is: unimportant columns go first, then the first column is cut in the middle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from sparsecc.cli.console import safe_text

_GAP = 2
_NAME_WIDTH = 28  # below it columns are left out before names are cut


@dataclass(frozen=True)
class Column:
    """A column: its head, its side, and when it may be left out (highest first, 0 never)."""

    head: str
    left: bool = False
    drop: int = 0


Cell = str | Text


def print_table(console: Console, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Print rows below their heads. The first column holds names and is the only one to be shortened."""
    cells = [[safe_text(cell) for cell in row] for row in rows]
    cells.insert(0, [Text(column.head, style="bold") for column in columns])
    shown, widths = _fit(columns, _widths(cells), width=console.width)
    for number, row in enumerate(cells):
        console.print(_line(row, columns, shown, widths), soft_wrap=True)
        if number == 0:
            console.print("-" * (sum(widths) + _GAP * (len(widths) - 1)), style="dim", soft_wrap=True)


def _widths(cells: Sequence[Sequence[Text]]) -> list[int]:
    return [max(cell.cell_len for cell in column) for column in zip(*cells, strict=True)]


def _fit(columns: Sequence[Column], natural: Sequence[int], *, width: int) -> tuple[list[int], list[int]]:
    """Numbers of the columns to show, and their widths."""
    shown = list(range(len(columns)))
    name = min(natural[0], _NAME_WIDTH)
    while (rest := sum(natural[i] + _GAP for i in shown[1:])) + name > width:
        droppable = [i for i in shown[1:] if columns[i].drop]
        if not droppable:
            break
        shown.remove(max(droppable, key=lambda i: columns[i].drop))
    return shown, [max(1, min(natural[0], width - rest)), *(natural[i] for i in shown[1:])]


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
