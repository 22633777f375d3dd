"""Networks with any number of inputs and outputs."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812

from .case import IMAGE, function

NETWORK_SHAPES = [
    function("two_outputs", lambda x: (x + 1, x * 2), IMAGE),
    function("list_of_outputs", lambda x: [x + 1, x * 2], IMAGE),
    function("nested_outputs", lambda x: {"a": x + 1, "b": (x * 2, [x - 1])}, IMAGE),
    function("three_inputs", lambda x, y, z: x * y + z, IMAGE, IMAGE, IMAGE),
    function("unused_input", lambda x, y: x + 1, IMAGE, (3, 2)),
    function("output_is_input", lambda x: (x, x + 1), IMAGE),
    function("output_is_only_input", lambda x: x, IMAGE),
    function("output_twice", lambda x: (lambda y: (y, y))(x + 1), IMAGE),
    function("input_twice", lambda x: (x, x), IMAGE),
    function("output_is_view_of_input", lambda x: x.flatten(1), IMAGE),
    function("output_and_its_view", lambda x: (lambda y: (y, y.flatten(1), y.view(-1)))(x + 1), IMAGE),
    function("view_of_view", lambda x: x.view(2, 3, 2, 99).view(-1).view(11, 108), IMAGE),
    function("output_used_again", lambda x: (lambda y: (y, F.relu(y) + 1))(x - 0.5), IMAGE),
    function("constant_output", lambda x: (x, torch.ones(2, 3)), IMAGE),
    function("scalar_output", lambda x: x.sum((0, 1, 2, 3)), IMAGE),
    function("scalar_input", lambda x, y: x * y, IMAGE, ()),
    function("extremes_of_a_scalar", lambda x: x.sum().min(0).values + x.sum().max(0).values + x.sum().amax(), IMAGE),
    function("one_number", lambda x: x * 2 + 1, (1,)),
    function("rank_5", lambda x: x.relu() * 2, (2, 3, 2, 3, 5)),
]
