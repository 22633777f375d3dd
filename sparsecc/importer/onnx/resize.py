"""ONNX's resizing: PyTorch's own kernels where they mean the same, else products with the operator's own weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sparsecc.importer.onnx.node import Array, Node, axes_of

_IMAGE = 4


def resize(node: Node, x: Tensor, *_: Tensor | None) -> Tensor:
    """Of any version; every axis is resized by itself."""
    at = {"scales": 1, "sizes": -1, "roi": -1} if node.opset < 11 else {"roi": 1, "scales": 2, "sizes": 3}
    axes = axes_of(node.get("axes", list(range(x.ndim))), x.ndim)
    sizes = node.ints(at["sizes"], "sizes") if at["sizes"] > 0 and node.has(at["sizes"]) else None
    scales = None if sizes else _scales(node, at["scales"])
    if sizes is None and not scales:
        raise ValueError("neither scales nor sizes")
    if sizes is not None:
        sizes = _in_proportion(node, [x.shape[axis] for axis in axes], sizes)
    given = dict(zip(axes, sizes or scales or (), strict=True))
    if node.get("extrapolation_value", 0.0):
        raise node.refuse("extrapolation_value", "0")
    whole = {a: int(np.floor(x.shape[a] * s)) if sizes is None else int(s) for a, s in given.items()}
    changed = [a for a in whole if whole[a] != x.shape[a] or (sizes is None and given[a] != 1) or _crops(node)]
    kernel = _kernel(node, x, whole, None if sizes else given)
    if kernel is not None and set(changed) <= {2, 3}:
        return kernel(x, (whole.get(2, x.shape[2]), whole.get(3, x.shape[3])))
    for axis in changed:
        roi = node.known[at["roi"]] if at["roi"] > 0 and node.has(at["roi"]) else None
        ends = None if roi is None or not roi.size else roi.reshape(2, -1)[:, axes.index(axis)].tolist()
        scale = None if sizes else float(given[axis])
        x = _along(x, axis, _weights(node, x.shape[axis], whole[axis], scale, ends))
    return x


def _in_proportion(node: Node, old: list[int], sizes: list[int]) -> list[int]:
    """Sizes of which all axes grow alike, if a policy says so: within the ones given, or beyond them."""
    policy = node.get("keep_aspect_ratio_policy", b"stretch")
    if policy == b"stretch":
        return sizes
    scales = [new / extent for new, extent in zip(sizes, old, strict=True)]
    scale = min(scales) if policy == b"not_larger" else max(scales)
    return [int(np.floor(scale * extent + 0.5)) for extent in old]


def _scales(node: Node, index: int) -> list[float]:
    if "scales" in node.attributes:  # of Upsample in opset 7 to 8
        return [float(scale) for scale in node.get("scales", list[float]())]
    return [float(scale) for scale in node.constant(index, "scales").reshape(-1).tolist()]


def _crops(node: Node) -> bool:
    return _mode(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"


def _mode(node: Node, name: str, default: str) -> str:
    return node.get(name, default.encode()).decode()


def _transform(node: Node) -> str:
    if node.op == "Upsample" or node.opset < 11:
        return "asymmetric"
    return _mode(node, "coordinate_transformation_mode", "half_pixel")


def _rounding(node: Node) -> str:
    return "floor" if node.op == "Upsample" or node.opset < 11 else _mode(node, "nearest_mode", "round_prefer_floor")


def _kernel(
    node: Node, x: Tensor, whole: dict[int, int], scales: dict[int, float] | None
) -> Callable[[Tensor, tuple[int, int]], Tensor] | None:
    """The kernel of PyTorch's that gives the same; None where there is none."""
    if x.ndim != _IMAGE or node.get("antialias", 0):
        return None
    exact = scales is None or all(whole[axis] == x.shape[axis] * scale for axis, scale in scales.items())
    mode, transform = _mode(node, "mode", "nearest"), _transform(node)
    if not exact:
        return None
    times = all(size % x.shape[axis] == 0 for axis, size in whole.items())
    floors = transform == "asymmetric" and _rounding(node) == "floor"
    copies = times and transform == "half_pixel" and _rounding(node).startswith("round")
    if mode == "nearest" and (floors or copies):
        return lambda x, size: F.interpolate(x, size, mode="nearest")
    wide = all(size > 1 for size in whole.values())
    if mode == "linear" and (transform == "half_pixel" or (transform == "pytorch_half_pixel" and wide)):
        return lambda x, size: F.interpolate(x, size, mode="bilinear", align_corners=False)
    if mode == "linear" and transform == "align_corners" and wide:
        return lambda x, size: F.interpolate(x, size, mode="bilinear", align_corners=True)
    return None


def _weights(node: Node, old: int, new: int, scale: float | None, ends: list[float] | None) -> Array:
    """What every new pixel takes of the old ones, ``(new, old)``: ONNX's own implementation resizes unit vectors."""
    keep = ("mode", "antialias", "cubic_coeff_a", "exclude_outside")
    attributes = {name: node.attributes[name] for name in keep if name in node.attributes}
    attributes["coordinate_transformation_mode"] = _transform(node)
    attributes["nearest_mode"] = _rounding(node)
    inputs = ["x", "roi", "scales", ""] if scale is not None else ["x", "roi", "", "sizes"]
    made = onnx.helper.make_node("Resize", inputs, ["y"], **attributes)
    roi = np.array([0, 0, 1, 1] if ends is None else [0, ends[0], 1, ends[1]], np.float32)
    feeds = {"x": np.eye(old, dtype=np.float32), "roi": roi}
    if scale is not None:
        feeds["scales"] = np.array([1, scale], np.float32)
    else:
        feeds["sizes"] = np.array([old, new], np.int64)
    result = np.asarray(ReferenceEvaluator(made).run(None, feeds)[0], np.float32)
    if result.shape != (old, new):
        raise ValueError(f"{old} pixels become {result.shape[1]}, expected {new}")
    return np.ascontiguousarray(result.T)


def _along(x: Tensor, axis: int, weights: Array) -> Tensor:
    """A product with the weights along an axis; a choice of pixels where each takes one."""
    taken = weights.argmax(1)
    if np.array_equal(weights, np.eye(weights.shape[1], dtype=weights.dtype)[taken]):
        return torch.index_select(x, axis, torch.from_numpy(taken).to(x.device))
    return F.linear(x.movedim(axis, -1), torch.from_numpy(weights).to(x.device)).movedim(-1, axis)


def grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    """Pixels at places that a constant grid says."""
    node.constant(1, "the grid")
    names = {"linear": "bilinear", "cubic": "bicubic"}
    mode = _mode(node, "mode", "linear")
    padding = _mode(node, "padding_mode", "zeros")
    return F.grid_sample(x, grid, names.get(mode, mode), padding, bool(node.get("align_corners", 0)))


RESIZE: dict[str, Callable[..., object]] = {"Resize": resize, "Upsample": resize, "GridSample": grid_sample}
