"""Schedules, each before and after as an outline: a broken step shows here, not as a slow library."""

from __future__ import annotations

import functools
from collections.abc import Callable
from textwrap import indent

import pytest
import torch
from generic_case import operator
from outline import outline, text
from schedule_texts import (
    CHAIN_AFTER,
    CHAIN_BEFORE,
    DIRECT_AFTER,
    DIRECT_BEFORE,
    LINEAR_AFTER,
    LINEAR_BEFORE,
    READ,
    STAGED_AFTER,
    STAGED_BEFORE,
    WINDOW_AFTER,
    WINDOW_BEFORE,
)
from torch import nn
from tuning_case import task_of, tasks_of

from sparsecc._tvm import PrimFunc, relax
from sparsecc.ir.layout import padded
from sparsecc.kernels.chain import ChainConfig, chain
from sparsecc.kernels.direct import direct
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.generic.extremes import exact_extremes
from sparsecc.kernels.generic.recipe import schedule_generic, with_layouts
from sparsecc.kernels.linear import LinearConfig, linear
from sparsecc.kernels.staged import staged
from sparsecc.kernels.window import window
from sparsecc.kernels.window_shape import WindowConfig
from sparsecc.lower.config import Config, ConvConfig, JoinedConfig
from sparsecc.tuning.tasks import KernelTask

R = relax.op
TARGET = "x86-64-v3"


@functools.cache
def task(kind: str) -> KernelTask:
    """A kernel of a network of one layer; of the tiny network where it takes more than one."""
    nets: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        "staged": (nn.Conv2d(16, 16, 3, padding=1), (1, 16, 10, 12)),
        "window": (nn.MaxPool2d(3, 1, 1), (1, 16, 10, 12)),
        "large window": (nn.MaxPool2d(7, 1, 3), (1, 16, 10, 12)),
        "linear": (nn.Linear(24, 32), (2, 24)),
    }
    if kind not in nets:
        return task_of({"direct": "conv", "chain": "stem"}[kind])
    net, shape = nets[kind]
    (found,) = tasks_of(nn.Sequential(net).eval(), torch.zeros(shape), TARGET, winograd=False)
    return found


def both(kind: str, config: Config, unscheduled: Callable[..., PrimFunc]) -> tuple[str, str]:
    """Outlines of a kernel as it is written, and as it is scheduled."""
    made = task(kind).lower(config)
    _, shape, knobs = made.identity  # type: ignore[misc]
    return outline(unscheduled(shape, knobs)), outline(made.function)


def direct_config(*, unroll_taps: bool = True) -> DirectConfig:
    return DirectConfig(8, 2, 8, rows_outer=True, unroll_taps=unroll_taps)


def test_direct() -> None:
    """A tile of eight channels by two vectors, and what is left of a plane."""
    before, after = both("direct", ConvConfig(8, direct_config()), direct)
    assert before == text(DIRECT_BEFORE).replace("READ", READ)
    assert after == text(DIRECT_AFTER).replace("READ", READ)
    _, looped = both("direct", ConvConfig(8, direct_config(unroll_taps=False)), direct)
    assert looped == after.replace("unrolled 3: unrolled 3", "for 3: unrolled 3")


def test_staged() -> None:
    """A plane in scratch memory, and rows copied from it to where the next layer wants them."""
    before, after = both("staged", ConvConfig(8, direct_config()), staged)
    assert before == text(STAGED_BEFORE)
    assert after == text(STAGED_AFTER)


@pytest.mark.parametrize(
    ("kind", "taps"), [("window", "unrolled 3: unrolled 3"), ("large window", "for 7: unrolled 7")]
)
def test_window(kind: str, taps: str) -> None:
    """Up to 25 taps are unrolled whole."""
    before, after = both(kind, WindowConfig(8, 2, 0), window)
    number = taps[-1]
    assert before.endswith(indent(text(WINDOW_BEFORE), "    ").replace("TAPS", f"for {number}: for {number}"))
    assert after.endswith(indent(text(WINDOW_AFTER), "    ").replace("TAPS", taps))
    assert (before.splitlines()[0], after.splitlines()[0]) == ("parallel 16:", "parallel 16:")


def test_linear() -> None:
    before, after = both("linear", LinearConfig(8, 2, 2), linear)
    assert before == text(LINEAR_BEFORE)
    assert after == text(LINEAR_AFTER)


def test_chain() -> None:
    """A convolution's tiles and a window's, with the outer loops as one that threads share."""
    conv = DirectConfig(8, 2, 4, rows_outer=True, unroll_taps=True)
    before, after = both("chain", JoinedConfig(16, ChainConfig(conv, WindowConfig(8, 2, 0), 1)), chain)
    assert before == text(CHAIN_BEFORE)
    assert after == text(CHAIN_AFTER)


@pytest.mark.parametrize(
    ("make", "shapes", "before", "after"),
    [
        (  # the first statement goes into the second; rows of 14 are walked as one
            lambda x, y: R.nn.relu(R.multiply(x, y)), [(1, 8, 14, 14), (1, 8, 1, 1)],
            """
            room for T_multiply_intermediate
            for 1: for 8: for 14: for 14: T_multiply_intermediate = x0, x1
            for 1: for 8: for 14: for 14: compute_intermediate = T_multiply_intermediate
            """,
            "for 1: for 8: for 28: vector 7: compute_intermediate = x0, x1\n",
        ),
        (  # enough for threads; what is left of a row is a shorter vector
            R.exp, [(8, 16, 43)],
            "for 8: for 16: for 43: compute = x0\n",
            """
            parallel 128:
                for 5: vector 8: compute = x0
                vector 3: compute = x0
            """,
        ),
        (  # results side by side: three vectors of sums in registers
            lambda x: R.sum(x, [0]), [(30, 40)],
            """
            for 40: for 30:
                at the start: x0_red = 0
                x0_red = x0_red, x0
            """,
            """
            for 2:
                room for own
                vector 16: own = 0
                vector 8: own = 0
                for 30: 3 x vector 8: own = own, x0
                3 x vector 8: x0_red = own
            """,
        ),
        (  # one result after another: four vectors of parts, what is left of a row, and halves that are joined
            lambda x: R.sum(x, [1]), [(30, 40)],
            """
            for 30: for 40:
                at the start: x0_red = 0
                x0_red = x0_red, x0
            """,
            """
            for 30:
                room for own
                2 x vector 16: own = 0
                for 1: 4 x vector 8: own = own, x0
                vector 8: own = own, x0
                vector 16: own = own
                vector 8: own = own
                vector 4: own = own
                vector 2: own = own
                own = own
                x0_red = own
            """,
        ),
    ],
    ids=["elementwise", "parallel", "columns", "row"],
)  # fmt: skip
def test_generic(make, shapes, before: str, after: str) -> None:
    function = operator(make, shapes)
    assert outline(function) == text(before)
    assert outline(schedule_generic(function, lanes=8)) == text(after)
    assert outline(function) == text(before)  # it is somebody else's


def parameters(function: PrimFunc) -> str:
    """The line of a script that has them, in short."""
    line = next(line for line in function.script().splitlines() if line.startswith("def "))
    return line.replace("T.int64(", "(").replace("(1)", "1").replace("(2)", "2").replace("(3)", "3").replace("(4)", "4")


def test_layouts_of_buffers() -> None:
    """A padded plane has a pitch, planes that are farther apart, and floats before its first pixel."""
    function, layout = operator(R.exp, [(1, 2, 3, 4)]), padded(3, 4, halo=(1, 1, 1, 1), pitch=5)
    assert parameters(function).startswith('def main(x0: T.Buffer((1, 2, 3, 4), "float32"), compute')
    strides = (2 * layout.channel, layout.channel, 5, 1)
    assert (layout.channel, layout.lead) == (32, 16)
    made = with_layouts(function, (layout, None))
    (x, _) = made.params
    assert tuple(int(stride) for stride in x.ty.strides) == strides
    assert int(x.ty.elem_offset) == layout.lead
    assert outline(made) == outline(function)
    assert with_layouts(function, (None, None)) is function


def test_what_extremes_begin_with() -> None:
    """TVM's lowest float is no infinity: of a row of infinities it would be the maximum."""
    for name, first, last in (("max", "-3.4e+38", "-inf"), ("min", "3.4e+38", "inf")):
        function = operator(lambda x, name=name: getattr(R, name)(x, [1]), [(2, 3)])
        before = f"for 2: for 3:\n    at the start: x0_red = {first}\n    x0_red = x0_red, x0\n"
        assert outline(function) == before.replace("3.4e+38", "3.40282e+38")
        assert outline(exact_extremes(function)) == before.replace(first, last)
    total = operator(lambda x: R.sum(x, [1]), [(2, 3)])
    assert exact_extremes(total) is total
