"""Predicted speed-ups over sparsity, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sparsecc.cli.tune_plot import save_figure
from sparsecc.text import printable

if TYPE_CHECKING:
    from sparsecc.advice.result import Advice

#: characters of a layer's name that there is room for
_LONGEST = 48


def write_advice_plot(path: Path, advice: Advice, *, title: str) -> None:
    """Draw the network's speed-up, and the range of useful sparsity of every layer for the smallest N.

    Parameters
    ----------
    path : Path
        As :func:`~sparsecc.cli.tune_plot.check_plot` wants it.
    advice : Advice
    title : str
    """
    from matplotlib.figure import Figure  # slow to import, and rarely wanted

    layers = [layer for layer in advice.layers if layer.curves[0].bounds.potential]
    figure = Figure(figsize=(11, max(4.0, 0.16 * len(layers) + 1.2)), layout="constrained")
    left, right = figure.subplots(1, 2)
    percent = [100 * share for share in advice.sparsities]
    for net in advice.nets:
        left.plot(percent, [advice.dense_us / us for us in net.us], marker="o", markersize=3, label=f"1x{net.n}")
    left.set(xlabel="pruned blocks, %", ylabel="speed-up of the network", ylim=(0, None))
    left.axhline(1.0, color="black", linewidth=0.8)
    left.legend()
    bounds = [layer.curves[0].bounds for layer in layers]
    right.barh(
        range(len(layers)),
        [100 * (b.upper - b.lower) for b in bounds],
        left=[100 * b.lower for b in bounds],
        height=0.6,
    )
    # set by themselves: names are data, and no formulas between dollar signs
    right.set_yticks(range(len(layers)), [_label(layer.name) for layer in layers], parse_math=False)
    right.margins(y=0.01)
    right.invert_yaxis()
    right.tick_params(axis="y", labelsize="x-small")
    n = advice.nets[0].n
    right.set(xlabel=f"useful sparsity with blocks 1x{n}, %", xlim=(0, 100))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(printable(title), parse_math=False)
    save_figure(figure, path)


def _label(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}..{text[-_LONGEST // 2 :]}"
