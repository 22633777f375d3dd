"""One self-contained HTML page that shows a report or advice: from disk, without a network."""

from sparsecc.page.render import write_advice, write_report
from sparsecc.page.sides import Measured, Side

__all__ = ["Measured", "Side", "write_advice", "write_report"]
