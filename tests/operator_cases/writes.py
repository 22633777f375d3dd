"""Writes to parts of a tensor, through views, indices and masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .case import IMAGE, function

INDEX = torch.tensor


def written(write: Callable[[Tensor], Any]) -> Callable[[Tensor], Tensor]:
    """A copy of a tensor, after ``write`` was applied to it."""

    def compute(x: Tensor) -> Tensor:
        y = x.clone()
        write(y)
        return y

    return compute


def _assign(at: Any, value: Callable[[Tensor], Any]) -> Callable[[Tensor], Tensor]:
    return written(lambda y: y.__setitem__(at, value(y)))


def _chunks(y: Tensor) -> None:
    a, b = y.chunk(2, 1)
    a.mul_(b)
    b.add_(a)


def _decoder(x: Tensor) -> Tensor:
    """What YOLO's heads do: boxes from offsets and sizes, in place."""
    y = x.view(1, 3, 5, 4, 4).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    grid = torch.stack((columns, rows), 2).view(1, 1, 4, 4, 2)
    y[..., 0:2] = (y[..., 0:2] * 2.0 - 0.5 + grid) * 8
    y[..., 2:4] = (y[..., 2:4] * 2) ** 2 * torch.tensor([[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]]).view(1, 3, 1, 1, 2)
    return y.view(1, -1, 5)


def _add_rows(y: Tensor, mask: Tensor) -> None:
    y[mask] += y[:1, 0]


def _add_planes(y: Tensor, mask: Tensor) -> None:
    y[:, :, mask] += 1


def _spread(y: Tensor, mask: Tensor) -> None:
    y[:, :, mask] = y[:, :, mask].relu() * y[:, :1, 0, :1]


def _twice(y: Tensor) -> None:
    y[y > 0] *= 2
    y[y > 1] -= 1


def _truth(mask: Tensor) -> Tensor:
    y = mask.clone()
    y[mask] = ~mask.flip(3)[mask]
    y[y.flip(1)] = True
    return y


def _doubled(y: Tensor, at: Any) -> None:
    y[at] *= 2


MASK = INDEX([True, False, True, False, False, True])
LAST, ROWS = (..., slice(1, 3)), (slice(None), slice(None), slice(1, 8, 3))

WRITES = [
    function("write_channels", _assign((slice(None), slice(2)), lambda y: y[:, 2:4] * 2), IMAGE),
    function("write_last_axis", _assign(LAST, lambda y: y[..., 5:7].exp()), IMAGE),
    function("write_rows_in_steps", _assign(ROWS, lambda y: y[:, :, ::3].relu()), IMAGE),
    function("write_to_the_end", _assign((..., slice(-3, None)), lambda y: y[..., :3]), IMAGE),
    function("write_beyond_the_end", _assign((..., slice(8, 99)), lambda y: y[..., :3]), IMAGE),
    function("write_all", _assign(slice(None), lambda y: y.flip(1) + 1), IMAGE),
    function("write_nothing", _assign((slice(None), slice(4, 2)), lambda y: 1.0), IMAGE),
    function("write_number", _assign((..., slice(None, None, 2)), lambda y: 0.5), IMAGE),
    function("write_broadcast", _assign((slice(None), slice(1, 4)), lambda y: y[:, :1]), IMAGE),
    function("write_one_row", _assign((slice(None), slice(None), -1), lambda y: y[:, :, 0]), IMAGE),
    function("write_one_element", _assign((1, 5, 8, 10), lambda y: 7.0), IMAGE),
    function("write_block", _assign((slice(None), slice(1, 3), slice(2, 5), 4), lambda y: y[:, 3:5, 2:5, 5]), IMAGE),
    function("add_to_one_column", written(lambda y: y[..., 1].add_(2)), IMAGE),
    function("add_to_columns", lambda x: _assign(LAST, lambda y: y[..., 1:3] + 2)(x), IMAGE),
    function("multiply_chunks", written(_chunks), IMAGE),
    function("fill_view", written(lambda y: y[:, 1].fill_(3.0)), IMAGE),
    function("zero_view", written(lambda y: y[:, :, 1:3].zero_()), IMAGE),
    function("clamp_view", written(lambda y: y[:, 2:].clamp_(0, 1)), IMAGE),
    function("relu_view", written(lambda y: torch.relu_(y[:, :3])), IMAGE),
    function("copy_over_all", written(lambda y: y.copy_(y[:1] * 2)), IMAGE),
    function("write_through_transposed", written(lambda y: y.transpose(1, 2)[:, 0].copy_(y[:, :, 1])), IMAGE),
    function("write_through_flat", written(lambda y: y.view(2, -1)[:, 3].fill_(1)), IMAGE),
    function("write_diagonal", written(lambda y: y.diagonal(1, 2, 3).mul_(2)), IMAGE),
    function("write_into_zeros", lambda x: _assign((slice(None), slice(3)), lambda _: x[:, 3:])(x * 0), IMAGE),
    function("write_into_new_zeros", lambda x: _into(x.new_zeros(2, 8, 9, 11), x), IMAGE),
    function("slice_scatter", lambda x: torch.slice_scatter(x, x[:, :2] * 2, 1, 2, 6, 2), IMAGE),
    function("slice_scatter_negative", lambda x: torch.slice_scatter(x, x[..., :2], -1, -4, -2), IMAGE),
    function("select_scatter", lambda x: torch.select_scatter(x, x[:, 0], 1, -1), IMAGE),
    function("select_scatter_vector", lambda x: torch.select_scatter(x, x[0] + 1, 0, 4), (11,)),
    function("diagonal_scatter", lambda x: torch.diagonal_scatter(x, x[0], 0), (5, 5)),
    function("index_put", lambda x: x.index_put((INDEX([0, 1]), INDEX([2, -1])), x[0, :2] * 2), IMAGE),
    function("index_put_number", lambda x: x.index_put((INDEX([0, 1]), INDEX([2, 3])), torch.tensor(1.5)), IMAGE),
    function("index_put_adds", lambda x: x.index_put((INDEX([0, 1]),), x[:, :1], accumulate=True), IMAGE),
    function(
        "index_put_constant_mask", _assign((0, INDEX([True, False, True, False, False, True])), lambda y: 0.0), IMAGE
    ),
    function("write_channels_by_list", _assign((slice(None), [0, 2]), lambda y: y[:, [1, 3]]), IMAGE),
    function("write_rows_by_list", _assign((slice(None), slice(None), [8, 0]), lambda y: y[:, :, 1:3]), IMAGE),
    function("write_last_axis_by_list", _assign((..., [8, 0]), lambda y: y[..., 1:3]), IMAGE),
    function("scatter", lambda x: x.scatter(1, INDEX([[0, 2, 4]]), x[:, :3] * 2), (3, 11)),
    function("scatter_number", lambda x: x.scatter(-1, INDEX([[0], [2], [4]]), 0.5), (3, 11)),
    function("index_copy", lambda x: x.index_copy(1, INDEX([5, 0]), x[:, 1:3]), IMAGE),
    function("index_fill", lambda x: x.index_fill(1, INDEX([5, 0]), -1.0), IMAGE),
    function("index_add", lambda x: x.index_add(1, INDEX([5, 0]), x[:, 1:3]), IMAGE),
    function("masked_fill", lambda x: x.masked_fill(x > 0.5, -1.0), IMAGE),
    function("masked_fill_of_channels", lambda x, y: x.masked_fill(y > 0, -float("inf")), IMAGE, (6, 1, 1)),
    function("masked_fill_tensor", lambda x: x.masked_fill(x > 0.5, x.sum((0, 1, 2, 3))), IMAGE),
    function("write_where_negative", written(lambda y: y.__setitem__(y < 0, 0)), IMAGE),
    function("write_where_mask_of_rows", written(lambda y: y.__setitem__(y[:, :, 0, 0] < 0, 0.25)), IMAGE),
    function("masked_fill_in_place_of_view", written(lambda y: y[:, :2].masked_fill_(y[:, :2] < 0, 0.25)), IMAGE),
    function("multiply_where_mask", written(lambda y: y.__setitem__(y > 0, y[y > 0] * 2)), IMAGE),
    function("functions_where_mask", written(lambda y: y.__setitem__(y > 0, y[y > 0].exp().clamp(max=2) - 1)), IMAGE),
    function("other_tensor_where_mask", lambda x, z: _assign(x < z, lambda y: (z * 3)[x < z])(x), IMAGE, IMAGE),
    function("two_tensors_where_mask", lambda x, z: _assign(x < z, lambda y: y[x < z] + z[x < z])(x), IMAGE, IMAGE),
    function("add_where_mask_of_rows", written(lambda y: _add_rows(y, y[:, :, 0, 0] < 0)), IMAGE),
    function("add_where_mask_of_planes", written(lambda y: _add_planes(y, y[0, 0] < 0)), IMAGE),
    function("spread_where_mask_of_planes", written(lambda y: _spread(y, y[0, 0] < 0)), IMAGE),
    function("row_where_mask", written(lambda y: y.__setitem__(y[..., 0] < 0, torch.arange(11.0))), IMAGE),
    function("twice_where_masks", written(_twice), IMAGE),
    function("accumulate_where_mask", lambda x: x.index_put((x > 0,), x[x > 0] * 3, accumulate=True), IMAGE),
    function("write_truth_where_mask", lambda x: _truth(x > 0).float(), IMAGE),
    function("multiply_constant_mask", written(lambda y: _doubled(y, (slice(None), MASK))), IMAGE),
    function(
        "multiply_constant_mask_of_planes",
        written(lambda y: _doubled(y, (..., MASK[:, None].expand(6, 9).T > 0, 1))),
        (2, 9, 6, 3),
    ),
    function("index_put_adds_twice", lambda x: x.index_put((INDEX([0, 0, 1, 0]),), x[:1], accumulate=True), IMAGE),
    function("index_add_twice", lambda x: x.index_add(1, INDEX([5, 5, 0]), x[:, 1:4], alpha=2), IMAGE),
    function("scatter_add", lambda x: x.scatter_add(1, INDEX([[0, 2, 0, 0], [5, 5, 5, 5]]), x[:2, 3:] * 2), (3, 11)),
    function("scatter_add_once", lambda x: x.scatter_add(-1, INDEX([[0, 2, 1]]), x), (3, 11)),
    function(
        "scatter_add_to_one", lambda x: torch.zeros(1).scatter_add(0, torch.zeros(11, dtype=torch.int64), x), (11,)
    ),
    function("scatter_add_number", lambda x: x.scatter_add(0, INDEX(0), x * 2), ()),
    function("scatter_reduce", lambda x: x.scatter_reduce(1, INDEX([[0, 2, 0]]), x[:, 3:], "sum"), (3, 11)),
    function("scatter_add_beside_nan", lambda x: x.scatter_add(1, INDEX([[0, 0], [3, 3]]), x.sqrt()), (3, 11)),
    function("yolo_decoder", _decoder, (1, 15, 4, 4)),
]


def _into(y: Tensor, x: Tensor) -> Tensor:
    y[:, 1:7] = x
    y[:, 0] += 1
    return y
