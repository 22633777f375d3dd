"""``--html`` and ``--beside``: pages of reports."""

from __future__ import annotations

import importlib.util
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparsecc.errors import LibraryError, UserError
from sparsecc.page import Measured, Side, write_report
from sparsecc.report import Report
from sparsecc.runtime import read_description
from sparsecc.runtime.files import check_writable
from sparsecc.runtime.stored_report import StoredReport
from sparsecc.untrusted import MalformedError, RefusedError, parse_json, read_file

_SUFFIXES = (".html", ".htm")
#: of a file with a report: one of a network of 10,000 layers has 20 MB
_MOST_BYTES = 1 << 28
_DATA = "what report.save('report.json') or 'sparsecc inspect --json' wrote"


def add_html(parser: ArgumentParser, *, beside: bool = True) -> None:
    """``--html``, and ``--beside``."""
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="also write a page to look at: one file that needs no network"
    )
    if beside:
        parser.add_argument(
            "--beside",
            type=Path,
            metavar="OTHER.so|OTHER.json",
            help=f"with --html: a second report on the same page, of a library or a file with {_DATA}",
        )


def check_html(options: Namespace) -> None:
    """Find out before the work what would make a page fail.

    Raises
    ------
    UserError
        ``--beside`` stands alone, the suffix is not .html, or jinja2 is not installed.
    OutputError
        The file can't be written.
    """
    if options.html is None:
        if getattr(options, "beside", None) is not None:
            raise UserError("--beside: needs --html FILE, the page to write")
        return
    if options.html.suffix not in _SUFFIXES:
        raise UserError(f"--html: found suffix {options.html.suffix!r} in {options.html}, expected .html")
    if importlib.util.find_spec("jinja2") is None:
        raise UserError(
            "--html needs the package jinja2, which is not installed; in sparsecc's folder: pip install '.[page]'"
        )
    check_writable(options.html)


def stored(description: dict[str, Any], path: Path) -> Report:
    """The report that a library carries.

    Raises
    ------
    LibraryError
        It has none, or a damaged one.
    """
    data = description.get("report")
    if data is None:
        raise LibraryError(f"{path}: it carries no report; compile the model again")
    return StoredReport(data, library=str(path)).read()


def other_side(path: Path) -> Side:
    """What ``--beside`` names.

    Raises
    ------
    UserError
        The file is neither a library nor data with a report.
    """
    if path.suffix != ".json":
        return Side(path.name, stored(read_description(path), path))
    try:
        document = parse_json(read_file(path, most_bytes=_MOST_BYTES))
    except (RefusedError, OSError) as error:
        raise UserError(f"--beside: {path}: can't be read: {error}") from error
    except MalformedError as error:
        raise UserError(f"--beside: {path}: {error}; expected {_DATA}") from error
    return Side(path.name, StoredReport(_report_of(document, path), library=str(path)).read())


def _report_of(document: Any, path: Path) -> dict[str, Any]:
    """A report by itself, that in a document of ``compile`` or ``inspect``, or the plan of a model as one."""
    if isinstance(document, dict):
        if isinstance(document.get("report"), dict):
            return dict(document["report"])
        if {"plan", "steps", "target"} <= set(document):
            return document
        if {"plan", "target"} <= set(document):
            return {"steps": [], "notes": [], "error": None, **document}
    raise UserError(f"--beside: {path}: found no report in it, expected {_DATA}")


def measured_side(document: dict[str, Any], steps: Sequence[dict[str, Any]], report: Report, *, title: str) -> Side:
    """A library with the times that ``sparsecc bench`` found."""
    measured = Measured(
        {step["key"]: step["median_s"] for step in steps}, document["median_s"], document["p10_s"], document["p90_s"],
        document["threads"], document["runs"], document["cpu"],
    )  # fmt: skip
    return Side(title, report, measured, {"on": document["cpu"]})


def write_page(path: Path, sides: Sequence[Side]) -> None:
    """Write the page.

    Raises
    ------
    LibraryError
        A report from a file has values that no report has.
    """
    try:
        write_report(path, sides)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        names = " or ".join(side.title for side in sides)
        raise LibraryError(
            f"{names}: its report is damaged ({type(error).__name__}: {error}); make it again"
        ) from error
