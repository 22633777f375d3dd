"""Which rows of two reports belong together: those of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparsecc.page.rows import Row
from sparsecc.page.sides import Side


@dataclass(frozen=True, eq=False)
class Pair:
    """A row of the first report, and that of the same name in the second; either may be missing."""

    first: Row | None
    second: Row | None = None

    @property
    def rows(self) -> tuple[Row | None, Row | None]:
        """Both."""
        return self.first, self.second

    @property
    def any(self) -> Row:
        """One that is there."""
        row = self.first or self.second
        assert row is not None, "a pair of nothing"
        return row

    @property
    def ratio(self) -> float | None:
        """Time in the first report over that in the second: above 1 where the second is faster."""
        if self.first is None or self.second is None:
            return None
        first, second = self.first.us, self.second.us
        return first / second if first and second else None


def pairs_of(sides: Sequence[Side]) -> list[Pair]:
    """Rows in the first report's order, then those that only the second has."""
    if len(sides) == 1:
        return [Pair(row) for row in sides[0].rows]
    waiting: dict[str, list[Row]] = {}
    for row in sides[1].rows:
        waiting.setdefault(row.name, []).append(row)
    pairs = []
    for row in sides[0].rows:
        same = waiting.get(row.name)
        pairs.append(Pair(row, same.pop(0) if same else None))
    left = {id(row) for rows in waiting.values() for row in rows}
    return pairs + [Pair(None, row) for row in sides[1].rows if id(row) in left]
