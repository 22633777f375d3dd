"""The whole network's time over the trials of a search, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sparsecc.errors import UserError
from sparsecc.runtime.files import new_file


def write_plot(path: Path, history: Sequence[tuple[int, float]], *, title: str) -> None:
    """Draw a step curve.

    Parameters
    ----------
    path : Path
        ``.svg``, ``.png`` or ``.pdf``.
    history : sequence of (int, float)
        Trials, and milliseconds of all kernels with the best configs so far.
    title : str

    Raises
    ------
    UserError
        Matplotlib is not installed, or does not know the suffix.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise UserError(
            "--plot needs the package matplotlib, which is not installed; pip install matplotlib"
        ) from error
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.step([trial for trial, _ in history], [ms for _, ms in history], where="post")
    axes.set(xlabel="trials", ylabel="ms, all tuned kernels", title=title)
    axes.grid(alpha=0.3)
    try:
        with new_file(path) as file:
            figure.savefig(file, format=path.suffix.removeprefix(".") or "svg", metadata={"Date": None})
    except ValueError as error:
        raise UserError(f"--plot: can't draw {path} ({error}); use the suffix .svg, .png or .pdf") from error
