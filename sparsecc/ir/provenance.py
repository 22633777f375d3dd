"""By what a kernel's config was chosen, and where that is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

By = Literal["cost model", "record", "nearest record", "search"]


@dataclass(frozen=True)
class Provenance:
    """Of a config.

    Attributes
    ----------
    by : str
        The cost model; the layer's own record; that of the nearest layer; or a search that tries it.
    source : str
        Of a record: its time, processor and date; of the nearest one: the layer that it is of.
    problems : tuple of str
        What the user should know: records that should have been used and could not be.
    """

    by: By
    source: str = ""
    problems: tuple[str, ...] = ()


#: measurements of an earlier search
RECORDS: tuple[By, ...] = ("record", "nearest record")
BY_MODEL = Provenance("cost model")
BY_SEARCH = Provenance("search")
