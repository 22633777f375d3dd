"""Elements at constant places."""

from __future__ import annotations

import torch

from .case import IMAGE, function

INDEX = torch.tensor
MASK = INDEX([True, False, True, False, False, True])

INDEXING = [
    function("index_channels", lambda x: x[:, [2, 0, 1]], IMAGE),
    function("index_channels_repeated", lambda x: x[:, [2, 0, 0, 5, -1]], IMAGE),
    function("index_rows", lambda x: x[:, :, [8, 3]], IMAGE),
    function("index_last", lambda x: x[..., [8, 3, 3]], IMAGE),
    function("index_batch", lambda x: x[[1, 0, 1]], IMAGE),
    function("index_two_axes", lambda x: x[:, [2, 0], [1, 8]], IMAGE),
    function("index_two_axes_apart", lambda x: x[:, [2, 0], :, [1, 8]], IMAGE),
    function("index_grid", lambda x: x[:, :, INDEX([[1], [5]]), INDEX([[0, 3, 9]])], IMAGE),
    function("index_square", lambda x: x[:, INDEX([[1, 5], [0, 0]])], IMAGE),
    function("index_everywhere", lambda x: x[INDEX([0, 1]), INDEX([5, 0]), INDEX([3, 3]), INDEX([0, -1])], IMAGE),
    function("index_vector", lambda x: x[[4, 0, 0]], (11,)),
    function("index_constant_mask", lambda x: x[:, MASK], IMAGE),
    function("index_constant_mask_twice", lambda x: x[:, MASK].relu()[:, MASK[:3]] * 2, IMAGE),
    function("index_constant_mask_of_plane", lambda x: x[..., torch.arange(99).reshape(9, 11) % 7 == 1], IMAGE),
    function("index_constant_places", lambda x: x[:, torch.where(MASK)[0]].sum(1), IMAGE),
    function("index_nonzero", lambda x: x[:, MASK.nonzero()[:, 0]], IMAGE),
    function("index_nothing", lambda x: torch.cat([x[:, MASK & ~MASK], x], 1), IMAGE),
    function("index_weights", lambda x: torch.conv2d(x, torch.arange(36.0).reshape(6, 6, 1, 1)[MASK]), IMAGE),
    function("index_select", lambda x: x.index_select(1, INDEX([2, 0, 1])), IMAGE),
    function("index_select_negative", lambda x: x.index_select(-1, INDEX([2, 0, 1])), IMAGE),
    function("index_select_one", lambda x: x.index_select(0, INDEX([4])), (11,)),
    function("gather", lambda x: x.gather(1, INDEX([[0, 3, 2], [10, 0, 1]])), (3, 11)),
    function(
        "gather_images", lambda x: x.gather(1, torch.arange(99).reshape(1, 1, 9, 11).expand(2, 3, 9, 11) % 6), IMAGE
    ),
    function("take_along", lambda x: torch.take_along_dim(x, INDEX([[2]]), 1), (3, 11)),
    function("diagonal", lambda x: x.diagonal(-1, 2, 3), IMAGE),
    function("unfold", lambda x: x.unfold(2, 3, 2), IMAGE),
    function("unfold_by_one", lambda x: x.unfold(1, 1, 1), (5, 3, 8, 5, 33)),
    function("flip_twice", lambda x: x.flip(1, -1), IMAGE),
    function("flip_nothing", lambda x: x.flip([]), IMAGE),
    function("roll_twice", lambda x: x.roll((2, -3), (1, -1)), IMAGE),
    function("roll_everything", lambda x: x.roll(5), IMAGE),
    function("rotate", lambda x: x.rot90(1, (2, 3)), IMAGE),
    function("index_then_conv", lambda x: torch.conv2d(x[:, [5, 1, 3, 3]], torch.ones(2, 4, 3, 3), padding=1), IMAGE),
    function(
        "conv_then_index", lambda x: torch.conv2d(x, torch.arange(8.0 * 6).reshape(8, 6, 1, 1))[:, [7, 0, 3]], IMAGE
    ),
]
