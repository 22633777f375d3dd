"""How results are written in Markdown: tables, a cell's name, a number with its spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.results.schema import CellResult
from bench.results.stats import Spread
from bench.results.summary import Summary

NONE = "–"  # noqa: RUF001 (a dash where a table has nothing to show)
ROUNDS = "rounds (disturbed)"  # heads :func:`rounds`
CELL_HEAD = ["net", "N", "pruned", "threads", "cores"]


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)


def cell_columns(cell: CellResult, summary: Summary | None = None) -> list[str]:
    """What :data:`CELL_HEAD` names; without a summary, all but where the cores were."""
    c = cell.cell
    usual = c.width == 1.0 and c.size == 224
    net = c.net if usual else f"{c.net} (width {c.width:g}, {c.size} pixels)"
    pattern = [NONE, NONE] if c.is_dense else [f"{c.n}", f"{100 * c.sparsity:g} %"]
    return [net, *pattern, f"{c.threads}", *([summary.place] if summary else [])]


def cell_name(cell: CellResult, summary: Summary | None = None) -> str:
    """A cell, and where its cores were, in words."""
    net, *_, threads = cell_columns(cell)
    where = "" if summary is None or summary.place == "any" else f", cores {summary.place}"
    return f"{net}, {cell.cell.pattern}, {threads} thread(s){where}"


def number(s: Spread) -> str:
    """Median and spread."""
    return f"{s.median:.2f} ({s.p10:.2f} to {s.p90:.2f})"


def bold_loss(found: Spread, text: str) -> str:
    """A ratio's text, in bold when it is a loss."""
    return f"**{text}**" if found.median < 1 else text


def rounds(summary: Summary) -> str:
    """How many rounds count, and how many of them were disturbed."""
    return f"{len(summary.rounds)} ({summary.disturbed})"


def percent(share: float | None, *, digits: int = 0) -> str:
    """A share of one."""
    return NONE if share is None else f"{100 * share:.{digits}f} %"
