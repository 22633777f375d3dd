"""Scales of weights that are stored as codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from sparsecc.errors import ModelError
from sparsecc.importer.arguments import operator_name
from sparsecc.importer.context import Context
from sparsecc.importer.names import layer_name

Floats = NDArray[np.float32]

#: operators that leave every number as it is, and in its place
_IDLE = ("alias", "clone", "contiguous", "detach", "lift_fresh_copy")
#: operators that turn a matrix round
_TURNING = ("t", "transpose", "permute", "numpy_T")


def weight_scales(ctx: Context, weight: Any, *, axis: int, channels: int) -> Floats | None:
    """Scale of each output channel of a constant weight; None where it is not made of codes with the zero point 0.

    Parameters
    ----------
    ctx : Context
    weight : fx.Node
        The operand of a layer.
    axis : int
        Where the weight has output channels.
    channels : int
        Places along it.

    Returns
    -------
    numpy.ndarray or None
        float32 ``(channels,)``.

    Raises
    ------
    ModelError
        A scale is zero, negative, NaN or infinite.
    """
    while operator_name(weight) in (*_IDLE, *_TURNING):
        if operator_name(weight) in _TURNING:
            axis = 1 - axis
        weight = weight.args[0]
    name = operator_name(weight)
    if name == "dequantize_per_tensor":
        scales, zeros, along = weight.args[1], weight.args[2], axis
    elif name == "dequantize_per_channel":
        scales, zeros, along = weight.args[1:4]
    else:
        return None
    found = _array(ctx, scales)
    if along % weight.meta["val"].ndim != axis or (zeros is not None and np.any(_array(ctx, zeros))):
        return None
    if not np.all(np.isfinite(found) & (found > 0)):
        bad = found[~(np.isfinite(found) & (found > 0))].reshape(-1)[0]
        raise ModelError(
            f"layer {layer_name(weight)}: found the scale {bad} of weights, expected a finite number above zero"
        )
    if found.size not in (1, channels):
        return None
    return np.broadcast_to(found.reshape(-1).astype(np.float32), (channels,)).copy()


def _array(ctx: Context, value: Any) -> NDArray[Any]:
    return ctx.array(value, "its scale") if isinstance(value, fx.Node) else np.asarray(value)
