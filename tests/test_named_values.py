"""What an expression names is kept on the stack, so that chains of activations stay as long as they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import sparsecc
from sparsecc._codegen import evaluate
from sparsecc._passes import stored_values
from sparsecc._tvm import IRModule, PrimFunc, T, structural_walk, tirx
from sparsecc.ir.epilogue import Activation
from sparsecc.kernels.activation import apply
from sparsecc.kernels.function import floats, kernel

Expr = Any
CELU = Activation("elu", (1.0, 1.0, 1.0))


def _let(value: Expr, body: Callable[[Expr], Expr]) -> Expr:
    name = tirx.Var("t", "float32")
    return tirx.Let(name, value, body(name))


def _each(of: Callable[[Any, Expr], Expr]) -> PrimFunc:
    """``y[i] = of(x, i)`` for four values."""

    def body(buffers: dict[str, Any]) -> None:
        with T.serial(4) as i:
            T.buffer_store(buffers["y"], of(buffers["x"], i), [i])

    return kernel([("x", floats(4)), ("y", floats(4))], body)


def _passed(func: PrimFunc) -> PrimFunc:
    return stored_values(IRModule({"main": func}))["main"]


def _lines(func: PrimFunc) -> list[str]:
    """Statements in the loop, without the function's head."""
    lines = [line.strip() for line in func.script().splitlines()]
    return lines[next(k for k, line in enumerate(lines) if line.startswith("for ")) + 1 :]


def _result(func: PrimFunc) -> np.ndarray:
    y = np.zeros(4, np.float32)
    evaluate(func, [np.arange(4, dtype=np.float32), y])
    return y


def _chain(length: int) -> PrimFunc:
    def activated(x: Any, i: Expr) -> Expr:
        value = x[i]
        for _ in range(length):
            value = apply(CELU, value)
        return value

    return _each(activated)


def _size(func: PrimFunc) -> int:
    nodes: list[Any] = []
    structural_walk(func.body, nodes.append)
    return len(nodes)


def test_a_named_value_goes_through_the_stack() -> None:
    func = _each(lambda x, i: _let(x[i] + T.float32(1), lambda t: t * t))
    assert _lines(func)[-1:] == ["y[v] = T.Let(t * t, where={t: x[v] + T.float32(1.0)})"]
    assert _lines(_passed(func)) == [
        "named: T.float32 = x[v] + T.float32(1.0)",
        "y[v] = named * named",
    ]
    np.testing.assert_array_equal(_result(func), [1, 4, 9, 16])


def test_a_value_that_is_named_behind_a_condition_is_computed_behind_it() -> None:
    def padded(x: Any, i: Expr) -> Expr:
        return tirx.if_then_else(i >= 2, _let(x[i - 2], lambda t: t * t), T.float32(-1))

    func = _each(padded)
    statements = _lines(_passed(func))
    assert statements.index("if v >= 2:") < next(k for k, line in enumerate(statements) if "x[v - 2]" in line)
    assert [line for line in statements if line.startswith("y[")] == ["y[v] = named"]
    np.testing.assert_array_equal(_result(func), [-1, -1, 0, 1])


def test_a_name_may_be_bound_in_several_statements() -> None:
    name = tirx.Var("t", "float32")

    def body(buffers: dict[str, Any]) -> None:
        x, y = buffers["x"], buffers["y"]
        for first in (0, 2):
            with T.serial(2) as i:
                T.buffer_store(y, tirx.Let(name, x[first + i] + T.float32(first), name * name), [first + i])

    np.testing.assert_array_equal(_result(kernel([("x", floats(4)), ("y", floats(4))], body)), [0, 1, 16, 25])


def test_a_function_without_names_stays() -> None:
    func = _each(lambda x, i: x[i] + T.float32(1))
    assert _lines(_passed(func)) == _lines(func)


def test_a_chain_of_activations_is_as_long_as_its_parts() -> None:
    one, eight = (_passed(_chain(length)) for length in (1, 8))
    assert _size(eight) <= 8 * _size(one)


@pytest.mark.parametrize("activation", [nn.CELU, nn.Mish, nn.GELU])
def test_networks_of_activations_alone(activation: type[nn.Module]) -> None:
    """Without the pass three of them take a minute, and every further one ten to a hundred times as long."""
    net = nn.Sequential(*[activation() for _ in range(8)], nn.ZeroPad2d(1), activation())
    x = torch.randn(1, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        np.testing.assert_allclose(sparsecc.compile(net, example_inputs=(x,))(x), net(x), rtol=1e-5, atol=1e-6)
