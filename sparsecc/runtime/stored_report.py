"""The report that a library carries: plain data that prints as a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sparsecc.errors import LibraryError

if TYPE_CHECKING:
    from sparsecc.report import Report

#: what a report of a compilation has, and this has too
_FIELDS = frozenset(
    {"plan", "steps", "target", "notes", "error", "compared", "figures", "memory_bytes", "macs_per_cycle", "ghz"}
)


class StoredReport(dict[str, Any]):
    """Data of a :class:`sparsecc.Report`, with its attributes and its text.

    It is read only when it is looked at: a library with a report that is damaged runs all the same.

    Parameters
    ----------
    data : dict
        As it stands in the library.
    library : str
        Where it is from, for messages.

    Raises
    ------
    LibraryError
        It is no object at all; or, when it is printed or asked for an attribute, it is no report.
    """

    def __init__(self, data: Any, *, library: str) -> None:
        self._library = library
        if not isinstance(data, dict):
            raise self._damaged(f"found {type(data).__name__}")
        super().__init__(data)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data, as :meth:`sparsecc.Report.to_json` gives it."""
        return dict(self)

    def save(self, path: str | os.PathLike[str], *, title: str = "") -> None:
        """Write it to a file, as :meth:`sparsecc.Report.save` does."""
        self.read().save(path, title=title)

    def read(self) -> Report:
        """The same as what :func:`sparsecc.compile` gave."""
        return self._parsed()[0]

    def _parsed(self) -> tuple[Report, str]:
        """The report and its text: what can be printed has fields of the right types."""
        from sparsecc.report import Report  # with the analysis of layers: costs nothing until it is wanted

        try:
            report = Report.from_json(dict(self))
            return report, str(report)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
            raise self._damaged(f"{type(error).__name__}: {error}") from error

    def __getattr__(self, name: str) -> Any:
        if name not in _FIELDS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.read(), name)

    def __str__(self) -> str:
        return self._parsed()[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (dict(self), self._library)

    def _damaged(self, what: str) -> LibraryError:
        return LibraryError(f"{self._library}: its report is damaged ({what}); copy or compile the file again")


def _made(data: dict[str, Any], library: str) -> StoredReport:
    return StoredReport(data, library=library)
