"""ONNX's padding, of any version."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer.onnx.node import Node, axes_of


def pad(node: Node, x: Tensor, *_: Tensor | None) -> Tensor:
    """A constant, or what the image has at its border."""
    pads = node.listed("pads", 1) or []
    axes = axes_of(node.ints(3, "axes"), x.ndim) if node.has(3) else list(range(x.ndim))
    ends = {axis: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    mode = node.get("mode", b"constant").decode()
    if mode == "constant":
        value = float(node.constant(2, "value").item()) if node.has(2) else node.get("value", 0.0)
        flat = [n for axis in reversed(range(x.ndim)) for n in ends.get(axis, (0, 0))]
        return F.pad(x, flat, value=value if x.is_floating_point() else int(value))
    for axis, (begin, end) in ends.items():
        places = _mirrored(x.shape[axis], begin, end, mode)
        if places != list(range(x.shape[axis])):
            x = _padded(x, axis, begin, end, mode, places)
    return x


def _padded(x: Tensor, axis: int, begin: int, end: int, mode: str, places: list[int]) -> Tensor:
    """By PyTorch's own padding where the axis is one of an image's; else by places."""
    names = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    last = x.ndim - axis
    room = x.shape[axis] - (mode == "reflect")
    if x.ndim == 4 and last <= 2 and 0 <= begin <= room and 0 <= end <= room:
        return F.pad(x, [begin, end, 0, 0] if last == 1 else [0, 0, begin, end], mode=names[mode])
    return torch.index_select(x, axis, torch.tensor(places, device=x.device))


def _mirrored(extent: int, begin: int, end: int, mode: str) -> list[int]:
    wanted = range(-begin, extent + end)
    if mode == "edge":
        return [min(max(i, 0), extent - 1) for i in wanted]
    if mode == "wrap":
        return [i % extent for i in wanted]
    period = max(2 * (extent - 1), 1)
    return [min(i % period, period - i % period) if extent > 1 else 0 for i in wanted]


PADDING: dict[str, Callable[..., object]] = {"Pad": pad}
