"""Where results of operators that only move elements come from: found by letting PyTorch move numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax
from sparsecc.importer.arguments import arguments, schema_of
from sparsecc.importer.context import Context

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Place(NamedTuple):
    """How one index of an element follows from the indices of the result.

    Attributes
    ----------
    axis : int or None
        The result's axis whose index it is.
    table : numpy.ndarray or None
        Else the index by the result's indices, int32; along axes of extent 1 it is the same everywhere.
    """

    axis: int | None
    table: NDArray[np.int32] | None

    def at(self, indices: tuple[Any, ...], table: Any) -> Any:
        """The index as an expression; ``table`` is this place's as a TE tensor."""
        return indices[self.axis] if self.axis is not None else look_up(table, indices)


def look_up(table: Any, indices: tuple[Any, ...]) -> Any:
    """Element of a table at the result's indices."""
    extents = [int(extent) for extent in table.shape]
    return table(*(0 if extent == 1 else index for extent, index in zip(extents, indices, strict=True)))


def moved_numbers(ctx: Context, node: fx.Node, **replaced: Any) -> Ints:
    """Result of a node's operator on other tensors, by the names of its arguments; the rest must be constants."""
    formal = schema_of(node).arguments
    given = arguments(node, len(formal), [argument.default_value for argument in formal])
    by_name = dict(zip([argument.name for argument in formal], given, strict=True)) | replaced
    known = fx.node.map_arg(by_name, lambda n: torch.from_numpy(ctx.array(n, f"an index of {node.target}").copy()))
    target: Any = node.target
    by_place = [known[argument.name] for argument in formal if not argument.kwarg_only]
    by_keyword = {argument.name: known[argument.name] for argument in formal if argument.kwarg_only}
    return np.asarray(target(*by_place, **by_keyword).numpy(), np.int64)


def numbered(shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor whose elements are their own places."""
    return torch.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)


def places(source: Ints, shape: tuple[int, ...], known: Bools | None = None) -> list[Place]:
    """Index of every axis of a tensor of ``shape``, where the result reads its element number ``source``.

    Where ``known`` is False the result reads another tensor, and any place will do.
    """
    sure = np.ones(source.shape, bool) if known is None else known
    # of one axis: NumPy 2.4 returns other indices for more than 8192 elements whose last axis has one
    indices = np.unravel_index(np.where(sure, source, 0).reshape(-1), shape) if shape else ()
    return [_place(index.reshape(source.shape), sure, extent) for index, extent in zip(indices, shape, strict=True)]


def _place(index: Ints, sure: Bools, extent: int) -> Place:
    for axis in range(index.ndim):
        index, sure = _narrowed(index, sure, axis)
    wide = [axis for axis, size in enumerate(index.shape) if size > 1]
    if len(wide) == 1 and index.size == extent and (index.reshape(-1) == np.arange(extent))[sure.reshape(-1)].all():
        return Place(wide[0], None)
    return Place(None, np.where(sure, index, 0).astype(np.int32))


def _narrowed(index: Ints, sure: Bools, axis: int) -> tuple[Ints, Bools]:
    """The same index with one entry for all along an axis, where that says as much."""
    most = np.where(sure, index, -1).max(axis, keepdims=True)
    least = np.where(sure, index, np.iinfo(np.int64).max).min(axis, keepdims=True)
    any_sure: Bools = np.asarray(sure.any(axis, keepdims=True))
    return (most, any_sure) if (most == least)[any_sure].all() else (index, sure)


def narrowed(table: NDArray[Any]) -> NDArray[Any]:
    """A table with one entry for all along every axis where they are the same."""
    for axis in range(table.ndim):
        first = table.take([0], axis)
        table = first if (table == first).all() else table
    return table


def constants(found: list[Place]) -> tuple[list[Any], Callable[[Any], list[Any]]]:
    """Tables of places as Relax constants, and what deals TE tensors of them out to the places again."""
    own = [place.table for place in found if place.table is not None]

    def dealt(tables: Any) -> list[Any]:
        rest = iter(tables)
        return [None if place.table is None else next(rest) for place in found]

    return [relax.const(table) for table in own], dealt
