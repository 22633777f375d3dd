"""Values that a reduction and the result share: kept in the result's place, or computed twice where that can't be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from generic_case import nests, run
from helpers import Array, close

from sparsecc._tvm import PrimFunc, structural_walk, te, tirx
from sparsecc.kernels import exponential
from sparsecc.kernels.generic.loops import loads

#: rows, and columns
N = 20
X = np.random.default_rng(0).standard_normal((N, N)).astype(np.float32)
E = np.exp(X.astype(np.float64))
#: what is shared and its sums -> the result, as TE and as NumPy
Case = tuple[Callable[[Any], Any], Array]


def matrix(value: Callable[[Any, Any], Any], name: str = "result", columns: int = N) -> Any:
    return te.compute((N, columns), value, name=name)


def along(value: Callable[[Any, Any], Any], combine: Any = te.sum, *, extent: Any = lambda i: N) -> Any:
    """``combine`` of ``value(i, k)`` over k, for every i."""

    def one(i: Any) -> Any:
        k = te.reduce_axis((0, extent(i)), name="k")
        return combine(value(i, k), axis=k)

    return te.compute((N,), one, name="along")


def exp(x: Any, *, less: Any = None) -> Any:
    return matrix(lambda i, j: exponential.exp(x[i, j] if less is None else x[i, j] - less[i]), "power")


def share(p: Any) -> Any:
    total = along(lambda i, k: p[i, k])
    return matrix(lambda i, j: p[i, j] / total[i])


def share_of_columns(p: Any) -> Any:
    total = along(lambda i, k: p[k, i])
    return matrix(lambda i, j: p[i, j] / total[j])


def share_of_shares(p: Any) -> Any:
    """Of two such values the last one is kept."""
    return share(exp(p, less=along(lambda i, k: p[i, k], te.max)))


def more_than_a_share(p: Any) -> Any:
    total = along(lambda i, k: p[i, k])
    return matrix(lambda i, j: tirx.sqrt(p[i, j] / total[i] + p[i, j]))


def two_reductions(p: Any) -> Any:
    total, top = along(lambda i, k: p[i, k]), along(lambda i, k: p[i, k], te.max)
    return matrix(lambda i, j: p[i, j] / total[i] + top[i])


def turned(p: Any) -> Any:
    total = along(lambda i, k: p[i, k])
    return matrix(lambda i, j: p[j, i] / total[i])


def taken_elsewhere_too(p: Any) -> Any:
    total = along(lambda i, k: p[i, k])
    return matrix(lambda i, j: p[i, j] / total[i] + p[i, N - 1 - j])


def fewer_columns(p: Any) -> Any:
    total = along(lambda i, k: p[i, k])
    return matrix(lambda i, j: p[i, j] / total[i], columns=N - 1)


def another_type(p: Any) -> Any:
    total = along(lambda i, k: p[i, k])
    return matrix(lambda i, j: tirx.Cast("float64", p[i, j] / total[i]))


def no_reduction(p: Any) -> Any:
    more, half = matrix(lambda i, j: p[i, j] + 1, "more"), matrix(lambda i, j: p[i, j] / 2, "half")
    return matrix(lambda i, j: more[i, j] * half[i, j])


def reductions_alone(p: Any) -> Any:
    total, top = along(lambda i, k: p[i, k]), along(lambda i, k: p[i, k], te.max)
    return matrix(lambda i, j: total[i] * top[j])


def reduced_at_last(p: Any) -> Any:
    total, k = along(lambda i, k: p[i, k]), te.reduce_axis((0, N), name="k")
    return matrix(lambda i, j: te.sum(p[i, j] / total[k], axis=k))


def unknown_at_last(p: Any) -> Any:
    """Loops that somebody wrote: nobody knows what they take and when."""
    total = along(lambda i, k: p[i, k])

    def write(given: Any, made: Any) -> Any:
        i, j = (tirx.Var(name, "int32") for name in "ij")
        store = tirx.BufferStore(made[0], given[0][j, i] / given[1][i], [i, j])
        rows = tirx.For(j, 0, N, tirx.ForKind.SERIAL, store)
        return tirx.For(i, 0, N, tirx.ForKind.SERIAL, rows)

    return te.extern([(N, N)], [p, total], write, name="result", dtype="float32")


def squares(p: Any) -> Any:
    total = along(lambda i, k: p[i, k] * p[i, k])
    return matrix(lambda i, j: p[i, j] / total[i])


def trace(p: Any) -> Any:
    """A counter that walks along two axes."""
    k = te.reduce_axis((0, N), name="k")
    total = te.compute((1,), lambda i: te.sum(p[k, k], axis=k), name="trace")
    return matrix(lambda i, j: p[i, j] / total[0])


def diagonal(p: Any) -> Any:
    total = along(lambda i, k: p[k, k])
    return matrix(lambda i, j: p[i, j] / total[i])


def backwards(p: Any) -> Any:
    total = along(lambda i, k: p[i, N - 1 - k])
    return matrix(lambda i, j: p[i, j] / total[i])


def triangle(p: Any) -> Any:
    total = along(lambda i, k: p[i, k], extent=lambda i: i + 1)
    return matrix(lambda i, j: p[i, j] / total[i])


def reduction_of_another_form(p: Any) -> Any:
    largest = te.comm_reducer(lambda a, b: tirx.Select(b > a, b, a), lambda _: tirx.const(-1e30, "float32"))
    top = along(lambda i, k: p[i, k], largest)
    return matrix(lambda i, j: p[i, j] / top[i])


ROWS, COLUMNS = E.sum(1, keepdims=True), E.sum(0)
TWICE = np.exp(E - E.max(1, keepdims=True))
KEPT: list[Case] = [
    (share, E / ROWS),
    (share_of_columns, E / COLUMNS),
    (share_of_shares, TWICE / TWICE.sum(1, keepdims=True)),
    (more_than_a_share, np.sqrt(E / ROWS + E)),
]
COMPUTED_TWICE: list[Case] = [
    (two_reductions, E / ROWS + E.max(1, keepdims=True)),
    (turned, E.T / ROWS),
    (taken_elsewhere_too, E / ROWS + E[:, ::-1]),
    (fewer_columns, (E / ROWS)[:, :-1]),
    (another_type, E / ROWS),
    (no_reduction, (E + 1) * E / 2),
    (reduced_at_last, E * (1 / ROWS).sum()),
    (unknown_at_last, E.T / ROWS),
    (squares, E / np.square(E).sum(1, keepdims=True)),
    (trace, E / E.trace()),
    (diagonal, E / E.trace()),
    (backwards, E / ROWS),
    (triangle, E / np.tril(E).sum(1, keepdims=True)),
    (reduction_of_another_form, E / E.max(1, keepdims=True)),
]


def name(value: object) -> str:
    return getattr(value, "__name__", "")


def scheduled(result: Callable[[Any], Any], expected: Array) -> PrimFunc:
    """The schedule, of which the result is right."""
    x = te.placeholder((N, N), "float32", name="x")
    found, function = run(te.create_prim_func([x, result(x)]), [X], lanes=8)
    close(found.astype(np.float32), expected.astype(np.float32), tolerance=2e-6)
    return function


def keeps(function: PrimFunc) -> bool:
    return any(source.same_as(function.params[-1]) for source, _ in loads(function.body))


def exponentials_at_last(function: PrimFunc) -> bool:
    found: list[Any] = []
    structural_walk(nests(function)[-1], (tirx.Let, found.append))
    return bool(found)


@pytest.mark.parametrize(("result", "expected"), KEPT, ids=name)
def test_kept(result: Callable[[Any], Any], expected: Array) -> None:
    function = scheduled(lambda x: result(exp(x)), expected)
    assert (keeps(function), exponentials_at_last(function)) == (True, False)
    assert not any("power" in str(buffer) for buffer in function.body.block.alloc_buffers)


@pytest.mark.parametrize(("result", "expected"), COMPUTED_TWICE, ids=name)
def test_computed_twice(result: Callable[[Any], Any], expected: Array) -> None:
    function = scheduled(lambda x: result(exp(x)), expected)
    assert (keeps(function), exponentials_at_last(function)) == (False, True)


def test_what_the_result_does_not_need_is_not_kept() -> None:
    assert not keeps(scheduled(lambda x: reductions_alone(exp(x)), ROWS * E.max(1)))


def test_what_is_quick_to_compute_is_not_kept() -> None:
    square = np.square(X.astype(np.float64))
    function = scheduled(
        lambda x: share(matrix(lambda i, j: x[i, j] * x[i, j], "square")), square / square.sum(1, keepdims=True)
    )
    assert not keeps(function)
