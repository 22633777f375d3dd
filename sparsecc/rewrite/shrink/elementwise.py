"""Elementwise operators keep channels in their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.kernels.activation import reference
from sparsecc.rewrite.shrink.atoms import Channels
from sparsecc.rewrite.shrink.flow import Flow
from sparsecc.rewrite.shrink.known import Array, Known, known_of
from sparsecc.rewrite.shrink.steps import Step, is_constant, shape_of

#: Relax' name -> the same by NumPy
FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "add": np.add,
        "subtract": np.subtract,
        "multiply": np.multiply,
        "divide": np.divide,
        "maximum": np.maximum,
        "minimum": np.minimum,
        "power": np.power,
        "abs": np.abs,
        "negative": np.negative,
        "exp": np.exp,
        "log": np.log,
        "sqrt": np.sqrt,
        "rsqrt": lambda x: 1 / np.sqrt(x),
        "square": np.square,
    }
)


def follow(flow: Flow, step: Step) -> bool:
    """See :data:`sparsecc.rewrite.shrink.rules.RULES`."""
    shape = step.shape
    axes = {_placed(operand, flow, len(shape)) for operand in step.tensors if operand in flow.channels}
    wide = {axis for axis in axes if shape[axis] > 1}
    if len(wide) != 1:
        return False
    axis = wide.pop()
    full = [operand for operand in step.tensors if _extent(operand, axis, len(shape)) == shape[axis]]
    # none is full where a constant repeats a single channel
    if not full or not all(operand in flow.channels and _placed(operand, flow, len(shape)) == axis for operand in full):
        return False
    flow.pin(*(operand for operand in step.tensors if not any(operand.same_as(other) for other in full)))
    first = flow.channels[full[0]].atoms
    for other in full[1:]:
        flow.atoms.tie(first, flow.channels[other].atoms)
    flow.put(step.var, Channels(axis, first), _result(flow, step, axis))
    return True


def activation(flow: Flow, step: Step) -> bool:
    """The same for a function of one variable."""
    (x,) = step.tensors
    if x not in flow.channels:
        return False
    found, known = flow.channels[x], flow.known.get(x)
    value = None if known is None else known_of(known.mask, reference(step.activation, known.values), found.axis)
    flow.put(step.var, found, value)
    return True


def _placed(operand: Any, flow: Flow, rank: int) -> int:
    """Axis of the result along which an operand has its channels."""
    return flow.channels[operand].axis + rank - len(shape_of(operand))


def _extent(operand: Any, axis: int, rank: int) -> int:
    """An operand's places along an axis of the result."""
    own = axis - rank + len(shape_of(operand))
    return shape_of(operand)[own] if own >= 0 else 1


def _result(flow: Flow, step: Step, axis: int) -> Known | None:
    """What is known of the result; zero times anything is zero, as everywhere where something was pruned."""
    given = [_operand(flow, operand, axis, step.shape) for operand in step.operands]
    masks, values = zip(*given, strict=True)
    mask = np.logical_and.reduce(masks)
    if step.kind == "multiply":
        mask = mask | np.logical_or.reduce([own & _is_zero(v, axis, len(own)) for own, v in given])
    if not mask.any():
        return None
    with np.errstate(all="ignore"):
        made = np.asarray(FUNCTIONS[step.kind](*values), np.float32)
    extents = [step.shape[axis] if i == axis else extent for i, extent in enumerate(made.shape)]
    return known_of(mask, np.broadcast_to(made, extents), axis)


def _operand(flow: Flow, operand: Any, axis: int, shape: tuple[int, ...]) -> tuple[NDArray[np.bool_], Array]:
    """Which channels of an operand are known, one for each of the result; its values with the result's axes."""
    rank, count = len(shape), shape[axis]
    if is_constant(operand):
        values = operand.reshape((1,) * (rank - operand.ndim) + operand.shape)
        is_same = all(extent == 1 for extent in values.shape[:axis])
        return np.full(count, is_same), values if is_same else np.zeros((1,) * rank, np.float32)
    known = flow.known.get(operand)
    if known is None or _extent(operand, axis, rank) != count or _placed(operand, flow, rank) != axis:
        return np.zeros(count, np.bool_), np.zeros((1,) * rank, np.float32)
    return known.mask, known.values.reshape((1,) * (rank - known.values.ndim) + known.values.shape)


def _is_zero(values: Array, axis: int, count: int) -> NDArray[np.bool_]:
    zero = ~np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1).any(axis=1)
    return np.broadcast_to(zero, count)
