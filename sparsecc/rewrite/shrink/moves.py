"""Operators that move numbers about, or reduce axes beside that of the channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from sparsecc.rewrite.shrink.atoms import Bools, Channels
from sparsecc.rewrite.shrink.flow import Flow
from sparsecc.rewrite.shrink.known import Array, Known, expanded, flat_values, is_flat, known_of
from sparsecc.rewrite.shrink.steps import Step, is_constant, shape_of

#: Relax' name -> the same by NumPy
REDUCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({"mean": np.mean, "sum": np.sum, "max": np.max})


def reshape(flow: Flow, step: Step) -> bool:
    """See :data:`sparsecc.rewrite.shrink.rules.RULES`. Channels stay a run of axes, or one axis becomes several."""
    x, before, after = step.operands[0], shape_of(step.operands[0]), step.shape
    if step.var in flow.orders:
        return _reordered(flow, step)
    found = flow.channels.get(x)
    if found is None:
        return False
    size, outer = len(found.atoms), math.prod(before[: found.axis])
    inner = math.prod(before[found.axis + 1 :])
    for place, extent in enumerate(after):
        rest = math.prod(after[place + 1 :])
        if math.prod(after[:place]) != outer or extent * rest != size * inner or extent == 1:
            continue
        if extent % size == 0:
            run = extent // size
            flow.put(step.var, Channels(place, np.repeat(found.atoms, run)), _runs(flow, x, found, run, place, after))
            return True
        if size % extent == 0:
            dealt = found.atoms.reshape(extent, -1)
            for other in dealt.T[1:]:
                flow.atoms.tie(dealt[:, 0], other)
            flow.put(step.var, Channels(place, dealt[:, 0]), _dealt(flow, x, found, place, after))
            return True
    return False


def permute(flow: Flow, step: Step) -> bool:
    """The axis moves."""
    (x,) = step.tensors
    found, known = flow.channels.get(x), flow.known.get(x)
    if found is None:
        return False
    axes = [int(axis) for axis in step.call.attrs.axes]
    place = axes.index(found.axis)
    made = None
    if known is not None:
        flat, rank = is_flat(known, found.axis), len(axes)
        values = flat_values(known, found.axis).reshape([-1 if i == place else 1 for i in range(rank)])
        made = known_of(known.mask & flat, values, place)
    flow.put(step.var, Channels(place, found.atoms), made)
    return True


def concat(flow: Flow, step: Step) -> bool:
    """Channels of all parts, one after another; those of a part that must stay as it is stay."""
    rank, axis = len(step.shape), int(step.call.attrs.axis) % len(step.shape)
    if not any(_lies_along(flow, part, axis) for part in step.operands):
        return False
    atoms, masks, values = [], [], []
    for part in step.operands:
        count = shape_of(part)[axis]
        if _lies_along(flow, part, axis):
            atoms.append(flow.channels[part].atoms)
            known = flow.known.get(part)
        else:
            flow.pin(*() if is_constant(part) else (part,))
            atoms.append(flow.atoms.new(count))
            flow.atoms.pin(atoms[-1].tolist())
            known = None
        none = np.zeros([count if i == axis else 1 for i in range(rank)], np.float32)
        masks.append(np.zeros(count, np.bool_) if known is None else known.mask)
        values.append(none if known is None else known.values)
    inner = np.broadcast_shapes(*(value.shape[axis + 1 :] for value in values))
    wide = [np.broadcast_to(value, (*value.shape[: axis + 1], *inner)) for value in values]
    made = known_of(np.concatenate(masks), np.concatenate(wide, axis=axis), axis)
    flow.put(step.var, Channels(axis, np.concatenate(atoms)), made)
    return True


def strided_slice(flow: Flow, step: Step) -> bool:
    """Some of the channels, or of the pixels of each."""
    (x,) = step.tensors
    found, known = flow.channels.get(x), flow.known.get(x)
    if found is None:
        return False
    parts = slices(step)
    own = parts.get(found.axis, slice(None))
    if own.step not in (None, 1):
        return False
    made = None
    if known is not None:
        shown = tuple(
            slice(None) if extent == 1 else parts.get(axis, slice(None))
            for axis, extent in enumerate(known.values.shape)
        )
        made = known_of(known.mask[own], known.values[shown], found.axis)
    flow.put(step.var, Channels(found.axis, found.atoms[own]), made)
    return True


def pad(flow: Flow, step: Step) -> bool:
    """A constant around every image."""
    (x,) = step.tensors
    found, known, attrs = flow.channels.get(x), flow.known.get(x), step.call.attrs
    width = np.array([int(amount) for amount in attrs.pad_width]).reshape(-1, 2)
    if found is None or attrs.pad_mode != "constant" or width[: found.axis + 1].any():
        return False
    made = None
    if known is not None:
        shown = expanded(known, (*known.values.shape[: found.axis + 1], *shape_of(x)[found.axis + 1 :]))
        value = np.float32(attrs.pad_value)
        made = known_of(known.mask, np.pad(shown, width.tolist(), constant_values=value), found.axis)
    flow.put(step.var, found, made)
    return True


def planes(flow: Flow, step: Step) -> bool:
    """The same with every plane; equal pixels stay equal."""
    x = step.tensors[0]
    found, known = flow.channels.get(x), flow.known.get(x)
    if found is None or found.axis != 1:
        return False
    flow.put(step.var, found, None if known is None else _flat(known, found.axis))
    return True


def reduce(flow: Flow, step: Step) -> bool:
    """Sums and the like over pixels."""
    (x,) = step.tensors
    found, known = flow.channels.get(x), flow.known.get(x)
    rank, attrs = len(shape_of(x)), step.call.attrs
    axes = tuple(range(rank)) if attrs.axis is None else tuple(int(axis) % rank for axis in attrs.axis)
    if found is None or min(axes, default=0) <= found.axis:
        return False
    made = None
    if known is not None:
        shown = expanded(known, (*known.values.shape[: found.axis + 1], *shape_of(x)[found.axis + 1 :]))
        values = REDUCTIONS[step.kind](shown.astype(np.float64), axis=axes, keepdims=bool(attrs.keepdims))
        made = known_of(known.mask, np.asarray(values, np.float32), found.axis)
    flow.put(step.var, found, made)
    return True


def slices(step: Step) -> dict[int, slice]:
    """Axis -> what a slice takes of it."""
    axes, begins, ends, *strides = ([int(number) for number in given] for given in step.call.args[1:])
    steps = strides[0] if strides else [1] * len(axes)
    extents = shape_of(step.operands[0])
    return {
        axis % len(extents): slice(*slice(begin, end, each).indices(extents[axis]))
        for axis, begin, end, each in zip(axes, begins, ends, steps, strict=True)
    }


def _reordered(flow: Flow, step: Step) -> bool:
    source, order = flow.orders[step.var].source, flow.orders[step.var].order
    found, known = flow.channels.get(source), flow.known.get(source)
    if found is None or found.axis != 1:
        flow.pin(source)  # what is read is between them
        return False
    made = None if known is None else Known(known.mask[order], known.values[:, order])
    flow.put(step.var, Channels(1, found.atoms[order]), made)
    return True


def _lies_along(flow: Flow, part: Any, axis: int) -> bool:
    return not is_constant(part) and part in flow.channels and flow.channels[part].axis == axis


def _flat(known: Known, axis: int) -> Known | None:
    """What is known of channels whose pixels are equal."""
    flat = is_flat(known, axis)
    values = flat_values(known, axis).reshape([-1 if i == axis else 1 for i in range(known.values.ndim)])
    return known_of(known.mask & flat, values, axis)


def _runs(flow: Flow, x: Any, found: Channels, run: int, place: int, after: tuple[int, ...]) -> Known | None:
    """What is known of channels with ``run`` places each."""
    known = flow.known.get(x)
    if known is None:
        return None
    inner = _inner(known, shape_of(x), found.axis)
    if inner.shape[1] == 1:
        values = np.repeat(inner, run, axis=0)
        return known_of(
            np.repeat(known.mask, run), values.reshape(_shape(len(values), place, after, is_flat=True)), place
        )
    values = inner.reshape(len(inner) * run, -1)
    return known_of(np.repeat(known.mask, run), values.reshape(_shape(len(values), place, after)), place)


def _dealt(flow: Flow, x: Any, found: Channels, place: int, after: tuple[int, ...]) -> Known | None:
    """What is known of groups of channels."""
    known = flow.known.get(x)
    if known is None:
        return None
    size = math.prod(shape_of(x)[found.axis + 1 :])
    inner = np.broadcast_to(_inner(known, shape_of(x), found.axis), (len(known.mask), size))
    mask: Bools = np.all(known.mask.reshape(after[place], -1), axis=1)
    return known_of(mask, inner.reshape(_shape(after[place], place, after)), place)


def _inner(known: Known, shape: tuple[int, ...], axis: int) -> Array:
    """Values as channels times pixels: one where all are equal."""
    if all(extent == 1 for extent in known.values.shape[axis + 1 :]):
        return known.values.reshape(len(known.mask), 1)
    return expanded(known, (*known.values.shape[: axis + 1], *shape[axis + 1 :])).reshape(len(known.mask), -1)


def _shape(count: int, place: int, after: tuple[int, ...], *, is_flat: bool = False) -> list[int]:
    inner = (1,) * (len(after) - place - 1) if is_flat else after[place + 1 :]
    return [1] * place + [count, *inner]
