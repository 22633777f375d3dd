"""Fills the templates in: whatever a name holds becomes text."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsecc.analyse.said import has_codes
from sparsecc.errors import UserError
from sparsecc.page import words
from sparsecc.page.advised import advice_view
from sparsecc.page.hints import hint
from sparsecc.page.pairs import pairs_of
from sparsecc.page.picture import data_uri
from sparsecc.page.sides import Side
from sparsecc.page.totals import kinds_of, lines_of, strip_of, tiles_of
from sparsecc.runtime.files import new_file
from sparsecc.version import VERSION

if TYPE_CHECKING:
    from jinja2 import Environment

    from sparsecc.page.advised import Advised

_FILES = Path(__file__).parent / "files"
#: ends of lines between tags: names have none, as control characters are escaped in them
_BREAKS = re.compile(r">\s*\n\s*<")
_FILTERS = {
    "name": words.name,
    "sentence": words.sentence,
    "count": words.count,
    "nbytes": words.nbytes,
    "time": words.time,
    "percent": words.percent,
    "factor": words.factor,
    "kept": words.kept,
    "number": words.number,
    "shape": words.shape,
    "pattern": words.pattern,
    "algorithm": words.algorithm,
    "geometry": words.geometry,
    "picture": data_uri,
    "hint": hint,
}


def write_report(path: str | os.PathLike[str], sides: Sequence[Side]) -> None:
    """Write the page of one report, or of two side by side.

    Parameters
    ----------
    path : path
    sides : sequence of Side
        One or two.

    Raises
    ------
    UserError
        The package jinja2 is not installed.
    OutputError
        The file can't be written.
    """
    views = [_view(side) for side in sides]
    coded = any(has_codes(side.plan.layers) for side in sides)
    _write(path, "report.html.jinja", {"views": views, "pairs": pairs_of(sides), "sides": sides, "coded": coded})


def write_advice(path: str | os.PathLike[str], title: str, advice: Advised) -> None:
    """Write the page of what pruning would gain; errors as :func:`write_report`."""
    _write(path, "advice.html.jinja", {"title": title, "view": advice_view(advice), "advice": advice})


def _view(side: Side) -> dict[str, Any]:
    return {
        "side": side,
        "tiles": tiles_of(side),
        "strip": strip_of(side),
        "kinds": kinds_of(side),
        "lines": lines_of(side),
    }


def _write(path: str | os.PathLike[str], template: str, values: Mapping[str, Any]) -> None:
    text = _BREAKS.sub("><", _environment().get_template(template).render(version=VERSION, **values))
    with new_file(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise UserError(
            "a page needs the package jinja2, which is not installed; in sparsecc's folder: pip install '.[page]'"
        ) from error
    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment
