"""What an operator does with channels, as the elements of its TensorIR function say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from sparsecc._tvm import te, tirx
from sparsecc.rewrite.channel_blocks import read_blocks
from sparsecc.rewrite.channel_operator import OperatorChannels
from sparsecc.rewrite.channels import Axis, Classes


def from_third(c: object) -> object:
    """``3 <= c``, as a concatenation asks."""
    return tirx.LE(tirx.const(3, "int32"), c)


def if_(condition: object, one: object, other: object) -> object:
    """One value or the other."""
    return tirx.if_then_else(condition, one, other)


#: what an element of a (2, 6, 6, 6) result is, from two tensors of that shape; whether channels keep their places
ELEMENTS: Mapping[str, tuple[Callable[..., object], bool]] = {
    "sum": (lambda x, y, n, c, h, w: x[n, c, h, w] + y[n, c, h, w], True),
    "other pixels": (lambda x, y, n, c, h, w: x[n, c, w, 5 - h] * y[1 - n, c, h, 0], True),
    "by row": (lambda x, y, n, c, h, w: if_(h <= w, x[n, c, h, w], y[n, c, h, w]), True),
    "by channel": (lambda x, y, n, c, h, w: if_(from_third(c), x[n, c, h, w], y[n, c, h, w]), False),
    "by channel and row": (lambda x, y, n, c, h, w: if_(h <= c, x[n, c, h, w], y[n, c, h, w]), False),
    "parts": (lambda x, y, n, c, h, w: if_(from_third(c), x[n, c - 3, h, w], y[n, c, h, w]), False),
    "backwards": (lambda x, y, n, c, h, w: x[n, c, h, w] - y[n, 5 - c, h, w], False),
    "the next one, too": (lambda x, y, n, c, h, w: x[n, c, h, w] - x[n, (c + 1) % 6, h, w] + y[n, c, h, w], False),
    "one for all": (lambda x, y, n, c, h, w: x[n, c, h, w] - y[n, 2, h, w], False),
    "channels and rows exchanged": (lambda x, y, n, c, h, w: x[n, c, h, w] - y[n, h, c, w], False),
    "diagonal": (lambda x, y, n, c, h, w: x[n, c, c, w] - y[n, c, h, w], False),
    "number of the channel": (lambda x, y, n, c, h, w: x[n, c, h, w] * y[n, c, h, w] * c.astype("float32"), False),
    "looked up": (lambda x, y, n, c, h, w: x[n, y[n, c, h, w].astype("int64"), h, w], False),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_what_an_operator_does_with_channels(name):
    element, keeps = ELEMENTS[name]
    x, y = (te.placeholder((2, 6, 6, 6), name=name) for name in "xy")
    z = te.compute((2, 6, 6, 6), lambda *at: element(x, y, *at))
    classes = Classes()
    axes = [Axis(1, (classes.new(6),)) for _ in "xy"]
    found = OperatorChannels(classes, [*axes, None], []).run(read_blocks(te.create_prim_func([x, y, z])))
    assert (not classes.fixed()) == keeps
    if keeps:
        assert found is not None
        assert found.axis == 1
        assert len({classes.find(axis.parts[0].group) for axis in (*axes, found)}) == 1
    else:
        assert classes.fixed() == {classes.find(axis.parts[0].group) for axis in axes}
