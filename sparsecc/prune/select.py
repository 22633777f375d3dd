"""Which layers are pruned, and at which rates: the rules that all pruners share."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from torch import nn

from sparsecc.errors import ModelError, UserError
from sparsecc.prune.layer import Layer, layers_of
from sparsecc.text import printable

_T = TypeVar("_T")


def left_out_by_default(layers: Sequence[Layer]) -> dict[str, str]:
    """Names of the layers that papers leave dense, each with its reason: stem, depthwise layers, classifier."""
    convs = [layer for layer in layers if layer.kind != "linear"]
    linears = [layer for layer in layers if layer.kind == "linear"]
    reasons = {layer.name: "depthwise" for layer in layers if layer.is_depthwise}
    if convs:
        reasons[convs[0].name] = "stem: the first convolution"
    if linears:
        reasons[linears[-1].name] = "classifier: the last linear layer"
    return reasons


def select(
    model: nn.Module, *, layers: Collection[str] | None, exclude: Collection[str]
) -> tuple[list[Layer], dict[str, str]]:
    """Choose the layers to prune.

    Parameters
    ----------
    model : torch.nn.Module
    layers : collection of str, optional
        Names, or patterns such as ``"layer3.*"``. By default all convolutions, transposed convolutions and linear
        layers but the first convolution, depthwise ones and the last linear layer.
    exclude : collection of str
        Names or patterns of layers to leave out of these.

    Returns
    -------
    tuple
        The layers in the model's order, and the reason for every layer that is left out.

    Raises
    ------
    UserError
        A name that fits no layer, or no layer is left.
    ModelError
        A depthwise layer was asked for, or two layers share a weight.
    """
    found = layers_of(model)
    names = [layer.name for layer in found]
    if layers is None:
        reasons = left_out_by_default(found)
    else:
        wanted = matching(layers, names, what="layers")
        reasons = {name: "not in layers=" for name in names if name not in wanted}
    reasons |= dict.fromkeys(matching(exclude, names, what="exclude"), "in exclude=")
    chosen = [layer for layer in found if layer.name not in reasons]
    if not chosen:
        raise UserError(f"layers: nothing to prune among the {len(found)} layers of {type(model).__name__}")
    for layer in chosen:
        if layer.is_depthwise:
            raise ModelError(f"layer {layer.shown}: is depthwise, there is nothing to skip; leave it out of layers=")
    _check_shared(chosen)
    return chosen, reasons


def _check_shared(layers: Iterable[Layer]) -> None:
    seen: dict[int, str] = {}
    for layer in layers:
        other = seen.setdefault(id(layer.weight), layer.name)
        if other != layer.name:
            raise ModelError(
                f"layer {layer.shown}: shares its weight with {printable(other)}; leave both out: exclude=[...]"
            )


def matching(patterns: Collection[str], names: Sequence[str], *, what: str) -> set[str]:
    """Names that fit one of the patterns; every pattern must fit one.

    Raises
    ------
    UserError
        A pattern fits none.
    """
    fits: set[str] = set()
    for pattern in patterns:
        now = {name for name in names if name == pattern or fnmatch.fnmatchcase(name, pattern)}
        if not now:
            near = difflib.get_close_matches(pattern, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(f"{what}: {pattern!r} fits none of the {len(names)} layers that can be pruned{hint}")
        fits |= now
    return fits


def spread(values: Mapping[str, _T], names: Sequence[str], *, what: str) -> dict[str, _T]:
    """Resolve values by name or pattern to values by name; where several fit, a full name wins, then the last.

    Raises
    ------
    UserError
        A pattern fits none of the names.
    """
    found: dict[str, _T] = {}
    for pattern, value in values.items():
        found |= dict.fromkeys(matching([pattern], names, what=what), value)
    return found | {name: values[name] for name in names if name in values}


def share(rate: float, count: int) -> int:
    """Whole blocks in a share, rounded down: 0.29 of 100 are 29, whatever floats make of it."""
    return int(rate * count + 1e-9 * max(count, 1))
