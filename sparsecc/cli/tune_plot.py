"""The whole network's time over the trials of a search, as a picture."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparsecc.errors import UserError
from sparsecc.runtime.files import check_writable, new_file
from sparsecc.text import printable

#: the same curve gives the same bytes
_WITHOUT_DATE = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
_SUFFIXES = (".svg", ".png", ".pdf")


def check_plot(path: Path) -> None:
    """Find out before a search what would make drawing fail.

    Raises
    ------
    UserError
        Matplotlib is not installed, or the suffix is none of .svg, .png and .pdf.
    OutputError
        The file can't be written.
    """
    if path.suffix not in _SUFFIXES:
        raise UserError(f"--plot: found suffix {path.suffix!r} in {path}, expected {', '.join(_SUFFIXES)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("--plot needs the package matplotlib, which is not installed; pip install matplotlib")
    check_writable(path)


def write_plot(path: Path, history: Sequence[tuple[int, float]], *, title: str) -> None:
    """Draw a step curve.

    Parameters
    ----------
    path : Path
        As :func:`check_plot` wants it.
    history : sequence of (int, float)
        Trials, and milliseconds of all kernels with the best configs so far.
    title : str
    """
    from matplotlib.figure import Figure  # slow to import, and rarely wanted

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.step([trial for trial, _ in history], [ms for _, ms in history], where="post")
    axes.set(xlabel="trials", ylabel="ms, all tuned kernels")
    axes.set_title(printable(title), parse_math=False)
    axes.grid(alpha=0.3)
    save_figure(figure, path)


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure in the format of its suffix; the same data gives the same bytes."""
    from matplotlib import rc_context

    with new_file(path) as file, rc_context({"svg.hashsalt": "sparsecc"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the font lacks a letter of a layer's name
        figure.savefig(file, format=path.suffix.removeprefix("."), metadata=_WITHOUT_DATE.get(path.suffix))
