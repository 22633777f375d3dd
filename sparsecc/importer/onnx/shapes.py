"""ONNX operators that change shapes, and move or choose elements at places that are constant."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer.onnx.node import Array, Node, axes_of, axis_of

#: of a constant that an operator makes
_MOST_ELEMENTS = 1 << 28


def shape(node: Node, x: Tensor) -> Tensor:
    """Always a constant."""
    return torch.tensor(x.shape[node.get("start", 0) : node.attributes.get("end")], dtype=torch.int64)


def reshape(node: Node, x: Tensor, _: Tensor | None = None) -> Tensor:
    """Zeros keep extents, unless ``allowzero`` is set."""
    sizes = node.listed("shape", 1) or []
    if not node.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def flatten(node: Node, x: Tensor) -> Tensor:
    """To a matrix: axes before one, and the rest."""
    axis = node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), -1)


def squeeze(node: Node, x: Tensor, _: Tensor | None = None) -> Tensor:
    """All axes of extent 1, or some of them."""
    axes = node.listed("axes", 1)
    gone = axes_of(axes, x.ndim) if axes else [i for i, extent in enumerate(x.shape) if extent == 1]
    if any(x.shape[i] != 1 for i in gone):
        raise ValueError(f"axes {gone} of shape {tuple(x.shape)} are not all of extent 1")
    return x.reshape([extent for i, extent in enumerate(x.shape) if i not in gone])


def unsqueeze(node: Node, x: Tensor, _: Tensor | None = None) -> Tensor:
    """New axes of extent 1."""
    axes = node.listed("axes", 1) or []
    sizes, new = list(x.shape), axes_of(axes, x.ndim + len(axes))
    for axis in sorted(new):
        sizes.insert(axis, 1)
    return x.reshape(sizes)


def transpose(node: Node, x: Tensor) -> Tensor:
    """Axes in another order."""
    return x.permute(node.get("perm", list(reversed(range(x.ndim)))))


def expand(node: Node, x: Tensor, _: Tensor) -> Tensor:
    """To the shape that both have in common."""
    return x.expand(torch.broadcast_shapes(x.shape, node.ints(1, "shape")))


def concat(node: Node, *inputs: Tensor) -> Tensor:
    """Along an axis; what is empty adds nothing."""
    axis = axis_of(node.get("axis", 1), inputs[0].ndim)
    full = [x for x in inputs if x.shape[axis]] or list(inputs[:1])
    return full[0] if len(full) == 1 else torch.cat(full, axis)


def split(node: Node, x: Tensor, _: Tensor | None = None) -> tuple[Tensor, ...]:
    """Parts of given sizes, or as equal as can be."""
    axis = axis_of(node.get("axis", 0), x.ndim)
    sizes = node.listed("split", 1)
    if sizes is None:
        count = node.get("num_outputs", len(node.outputs))
        each = -(-x.shape[axis] // count)
        sizes = [max(min(each, x.shape[axis] - i * each), 0) for i in range(count)]
    if sum(sizes) != x.shape[axis]:
        raise ValueError(f"parts of {sizes} of an axis of {x.shape[axis]}")
    if all(sizes) and len(sizes) > 1:
        return tuple(torch.split(x, sizes, axis))
    places = [(sum(sizes[:i]), size) for i, size in enumerate(sizes)]
    return tuple(x if size == x.shape[axis] else x.narrow(axis, at, size) for at, size in places)


def slice_(node: Node, x: Tensor, *_: Tensor | None) -> Tensor:
    """Ranges along axes; backwards as what they are, turned round."""
    starts, ends = node.listed("starts", 1) or [], node.listed("ends", 2) or []
    axes = axes_of(node.listed("axes", 3) or range(len(starts)), x.ndim)
    steps = (node.ints(4, "steps") if node.has(4) else None) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        extent = x.shape[axis]
        found = range(*slice(start, None if step < 0 and end < -extent else end, step).indices(extent))
        if not found:
            x = x.narrow(axis, 0, 0)
        elif step > 0:
            x = x[(slice(None),) * axis + (slice(found[0], found[-1] + 1, step),)]
        else:
            x = x[(slice(None),) * axis + (slice(found[-1], found[0] + 1, -step),)].flip(axis)
    return x


def gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    """Entries along an axis, which take the shape of the indices."""
    axis = axis_of(node.get("axis", 0), x.ndim)
    places = _forwards(node, 1, x.shape[axis])
    if places is None:  # places of a constant that depend on the input: refused by the importer, with the layer's name
        chosen = torch.index_select(x, axis, indices.reshape(-1))
        return chosen.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    if places.ndim == 0:
        return x.select(axis, int(places))
    flat = places.reshape(-1).tolist()
    if flat and flat == list(range(flat[0], flat[0] + len(flat))):
        chosen = x.narrow(axis, flat[0], len(flat))
    else:
        chosen = torch.index_select(x, axis, _on(places.reshape(-1), x))
    return chosen.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _forwards(node: Node, index: int, extent: int) -> Array | None:
    """Constant places, counted from the front."""
    places = node.known[index]
    if places is None:
        return None
    if places.size and not -extent <= int(places.min()) <= int(places.max()) < extent:
        raise IndexError(f"places {int(places.min())} to {int(places.max())} of {extent}")
    return np.where(places < 0, places + extent, places).astype(np.int64)


def _on(places: Array, x: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(places)).to(x.device)


def gather_elements(node: Node, x: Tensor, _: Tensor) -> Tensor:
    """For every place of the result, an entry along an axis."""
    axis = axis_of(node.get("axis", 0), x.ndim)
    node.constant(1, "indices")
    places = _forwards(node, 1, x.shape[axis])
    assert places is not None
    return torch.gather(x, axis, _on(places, x))


def gather_nd(node: Node, x: Tensor, _: Tensor) -> Tensor:
    """Entries by tuples of indices."""
    places = node.constant(1, "indices").astype(np.int64)
    batch = node.get("batch_dims", 0)
    first = [np.arange(x.shape[i]).reshape([-1 if j == i else 1 for j in range(places.ndim - 1)]) for i in range(batch)]
    return x[tuple(_on(part, x) for part in (*first, *_tuples(places, x.shape[batch:])))]


def _tuples(places: Array, shape: Sequence[int]) -> list[Array]:
    """Indices for each axis, counted from the front."""
    parts = np.moveaxis(places, -1, 0)
    return [np.where(part < 0, part + extent, part) for part, extent in zip(parts, shape, strict=False)]


def scatter_elements(node: Node, x: Tensor, _: Tensor, updates: Tensor) -> Tensor:
    """Entries along an axis are replaced, added to, multiplied, or held against others."""
    axis = axis_of(node.get("axis", 0), x.ndim)
    node.constant(1, "indices")
    places = _forwards(node, 1, x.shape[axis])
    assert places is not None
    how = node.get("reduction", b"none").decode()
    if how == "none":
        return torch.scatter(x, axis, _on(places, x), updates)
    if how == "add":
        return torch.scatter_add(x, axis, _on(places, x), updates)
    names = {"mul": "prod", "max": "amax", "min": "amin"}
    return torch.scatter_reduce(x, axis, _on(places, x), updates, names[how])


def scatter_nd(node: Node, x: Tensor, _: Tensor, updates: Tensor) -> Tensor:
    """Entries by tuples of indices are replaced or added to."""
    places = node.constant(1, "indices").astype(np.int64)
    how = node.get("reduction", b"none").decode()
    if how not in ("none", "add"):
        raise node.refuse(f"reduction {how}", "none or add")
    index = [_on(part, x) for part in _tuples(places, x.shape)]
    return torch.index_put(x, index, updates, accumulate=how == "add")


def compress(node: Node, x: Tensor, _: Tensor) -> Tensor:
    """Entries along an axis, or of the flattened tensor, where a constant is true."""
    places = np.flatnonzero(node.constant(1, "the condition"))
    axis = node.attributes.get("axis")
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis_of(axis, x.ndim))
    return torch.index_select(x, axis, _on(places, x))


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    """Blocks of channels become pixels."""
    n, c, h, w = x.shape
    size = node.get("blocksize", 1)
    if node.get("mode", b"DCR") == b"CRD":
        return F.pixel_shuffle(x, size)
    moved = x.reshape(n, size, size, c // size**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return moved.reshape(n, c // size**2, h * size, w * size)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    """Pixels become blocks of channels."""
    n, c, h, w = x.shape
    size = node.get("blocksize", 1)
    if node.get("mode", b"DCR") == b"CRD":
        return F.pixel_unshuffle(x, size)
    moved = x.reshape(n, c, h // size, size, w // size, size).permute(0, 3, 5, 1, 2, 4)
    return moved.reshape(n, c * size**2, h // size, w // size)


def constant_of_shape(node: Node, _: Tensor) -> Tensor:
    """One value everywhere."""
    sizes = node.ints(0, "shape")
    if math.prod(sizes) > _MOST_ELEMENTS:
        raise ValueError(f"a constant of shape {sizes}")
    value = node.attributes.get("value")
    return torch.zeros(sizes) if value is None else value.reshape(-1)[0].expand(sizes).clone()


def arange(node: Node, *_: Tensor) -> Tensor:
    """Whole numbers from one to another."""
    start, limit, step = (node.constant(i, what) for i, what in enumerate(("start", "limit", "delta")))
    if (limit.item() - start.item()) / step.item() > _MOST_ELEMENTS:
        raise ValueError(f"a range from {start.item()} to {limit.item()}")
    return torch.from_numpy(np.arange(start.item(), limit.item(), step.item(), dtype=start.dtype))


def triangle(node: Node, x: Tensor, _: Tensor | None = None) -> Tensor:
    """The upper or the lower one."""
    k = node.ints(1, "k")[0] if node.has(1) else 0
    keep = torch.ones(x.shape[-2:], dtype=torch.bool, device=x.device)
    keep = torch.triu(keep, k) if node.get("upper", 1) else torch.tril(keep, k)
    return torch.where(keep, x, torch.zeros_like(x))


SHAPES: dict[str, Callable[..., object]] = {
    "Shape": shape,
    "Size": lambda node, x: torch.tensor(x.numel()),
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Expand": expand,
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterElements": scatter_elements,
    "Scatter": scatter_elements,
    "ScatterND": scatter_nd,
    "Tile": lambda node, x, _: x.repeat(node.ints(1, "repeats")),
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "ConstantOfShape": constant_of_shape,
    "Range": arange,
    "Compress": compress,
    "Trilu": triangle,
}
#: those whose results are known whatever their inputs are
FROM_SHAPES = frozenset({"Shape", "Size"})
