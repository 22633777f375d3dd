"""Reductions without a kernel of their own: right, in vectors and in parallel, whatever the rank, axis and size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from generic_case import LANES, call, kinds, nests, only_function, operator, run
from helpers import Array, agree, close
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_cases.case import Function

from sparsecc._tvm import PrimFunc, relax, structural_map, te, tirx, topi
from sparsecc.importer.context import Context
from sparsecc.importer.operators import SHAPES
from sparsecc.kernels.generic.recipe import schedule_generic
from sparsecc.target import TARGETS

R = relax.op
#: 30 extents: round vectors, round the number of results from which on threads share them, and primes
SIZES = (
    1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 33, 45, 46, 63, 64, 65, 67, 97, 127, 129, 257,
    1021, 2048, 4093, 4095, 4096, 4097,
)  # fmt: skip
#: more values than these would take seconds
MOST = 150_000
PARALLEL, VECTORIZED = 1, 2
#: name -> as Relax has it, as NumPy has it
REDUCTIONS: dict[str, tuple[Callable, Callable]] = {
    "sum": (lambda x, a, k: R.sum(x, a, k), lambda x, a, k: x.sum(a, keepdims=k)),
    "mean": (lambda x, a, k: R.mean(x, a, k), lambda x, a, k: x.mean(a, keepdims=k)),
    "max": (lambda x, a, k: R.max(x, a, k), lambda x, a, k: x.max(a, keepdims=k)),
    "min": (lambda x, a, k: R.min(x, a, k), lambda x, a, k: x.min(a, keepdims=k)),
    "prod": (lambda x, a, k: R.prod(x, a, k), lambda x, a, k: x.prod(a, keepdims=k)),
    "variance": (lambda x, a, k: R.variance(x, a, k), lambda x, a, k: x.var(a, keepdims=k)),
    "std": (lambda x, a, k: R.std(x, a, k), lambda x, a, k: x.std(a, keepdims=k)),
}


@st.composite
def shapes(draw: st.DrawFn, *, most_axes: int = 5) -> tuple[int, ...]:
    """One axis of any size, the others as there is room."""
    rank = draw(st.integers(1, most_axes))
    shape = [draw(st.sampled_from(SIZES))]
    for _ in range(rank - 1):
        room = MOST // math.prod(shape)
        shape.append(draw(st.sampled_from([size for size in SIZES if size <= room])))
    return tuple(draw(st.permutations(shape)))


def values(*shapes: Sequence[int]) -> list[Array]:
    """Normal random numbers near one, so that a product of thousands stays in range."""
    generator = np.random.default_rng(0)
    return [(1 + generator.standard_normal(shape) / 64).astype(np.float32) for shape in shapes]


def check(function: PrimFunc, inputs: Sequence[Array], expected: Array, lanes: int) -> None:
    """Hold a function's result against another, and its schedule against what every schedule must have."""
    found, scheduled = run(function, inputs, lanes=lanes)
    close(found, expected.astype(np.float32), tolerance=2e-5)
    if expected.size >= 4096:
        assert PARALLEL in kinds(scheduled.body)
    if expected.size >= lanes:
        assert all(VECTORIZED in kinds(nest) for nest in nests(scheduled))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data())
@settings(max_examples=6, deadline=None, derandomize=True, database=None)
def test_reduction(name, lanes, data):
    shape = data.draw(shapes())
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
    keep = data.draw(st.booleans())
    make, reference = REDUCTIONS[name]
    (x,) = values(shape)
    function = operator(lambda x: make(x, sorted(axes), keep), [shape])
    check(function, [x], np.asarray(reference(x.astype(np.float64), tuple(axes), keep)), lanes)


@pytest.mark.parametrize("lanes", LANES)
@given(data=st.data())
@settings(max_examples=6, deadline=None, derandomize=True, database=None)
def test_norm(lanes, data):
    """A product before the sum and a root after it, in one function."""
    shape = data.draw(shapes())
    axes, keep = sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))), data.draw(st.booleans())
    (x,) = values(shape)
    given = te.placeholder([tirx.const(extent, "int64") for extent in shape], "float32")
    function = te.create_prim_func([given, topi.sqrt(topi.sum(given * given, axes, keep))])
    check(function, [x], np.sqrt(np.square(x, dtype=np.float64).sum(tuple(axes), keepdims=keep)), lanes)


@pytest.mark.parametrize("lanes", LANES)
@given(data=st.data())
@settings(max_examples=12, deadline=None, derandomize=True, database=None)
def test_product_of_matrices(lanes, data):
    """Vectors, matrices, and batches of them that one side may share."""
    batch = data.draw(st.sampled_from([(), (1,), (3,), (2, 5)]))
    m, k = data.draw(st.sampled_from(SIZES)), data.draw(st.sampled_from(SIZES[:24]))
    n = data.draw(st.sampled_from([size for size in SIZES if size * k <= MOST and size * k * m <= 8 * MOST]))
    left, right = data.draw(
        st.sampled_from(
            [((*batch, m, k), (*batch, k, n)), ((*batch, m, k), (k, n)), ((m, k), (*batch, k, n)), ((k,), (k, n)),
             ((m, k), (k,)), ((k,), (k,))]
        )
    )  # fmt: skip
    x, y = values(left, right)
    function = operator(R.matmul, [left, right])
    check(function, [x, y], np.asarray(x.astype(np.float64) @ y.astype(np.float64)), lanes)


def softmax(name: str, shape: Sequence[int], axis: int) -> PrimFunc:
    """What the importer makes of ``softmax`` or ``log_softmax``; an export takes a hundred times as long."""
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    node = graph.call_function(getattr(torch.ops.aten, name).int, (x, axis))
    builder, given = relax.BlockBuilder(), relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [given]):
        with builder.dataflow():
            context = Context(builder, {})
            context.values[x] = given
            result = builder.emit_output(SHAPES[f"{name}.int"](context, node))
        builder.emit_func_output(result)
    return only_function(builder.get())


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(data=st.data())
@settings(max_examples=6, deadline=None, derandomize=True, database=None)
def test_softmax(name, lanes, data):
    shape = data.draw(shapes(most_axes=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = torch.from_numpy(values(shape)[0] * 8)
    check(softmax(name, shape, axis), [x.numpy()], getattr(torch, name)(x.double(), axis).numpy(), lanes)


@pytest.mark.parametrize("size", [(3, 2), (1, 5), (6, 6), (7, 3)])
@pytest.mark.parametrize("lanes", LANES)
def test_windows_of_unequal_sizes(size, lanes):
    (x,) = values((2, 5, 19, 23))
    function = operator(lambda x: R.nn.adaptive_avg_pool2d(x, size), [x.shape])
    expected = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(x), size).numpy()
    found, scheduled = run(function, [x], lanes=lanes)
    close(found, expected, tolerance=1e-5)
    assert all(VECTORIZED in kinds(nest) for nest in nests(scheduled))


def test_a_reduction_of_another_form():
    """Whose two parts nobody can tell: outer loops in parallel."""
    (x,) = values((64, 5, 67))
    largest = te.comm_reducer(lambda a, b: tirx.Select(b > a, b, a), lambda _: tirx.const(-1e30, "float32"))
    data = te.placeholder(x.shape, "float32")
    k = te.reduce_axis((0, 5))
    result = te.compute((64, 67), lambda i, j: largest(data[i, k, j], axis=k))
    found, scheduled = run(te.create_prim_func([data, result]), [x], lanes=8)
    np.testing.assert_array_equal(found, x.max(1))
    assert PARALLEL in kinds(scheduled.body)


@pytest.mark.parametrize(("shape", "axis"), [((1, 21, 64, 64), 1), ((70, 1000), 1), ((4099, 3), 1), ((67, 40000), 1)])
def test_threads_share_results_only(shape, axis):
    """The same code with its parallel loops made serial gives the same bits."""
    (x,) = values(shape)
    function = operator(lambda x: R.sum(x, [axis]), [shape])
    scheduled = schedule_generic(function, lanes=8)
    assert PARALLEL in kinds(scheduled.body)

    def serial(loop: tirx.For) -> tirx.For:
        if int(loop.kind) != PARALLEL:
            return loop
        return tirx.For(loop.loop_var, loop.min, loop.extent, tirx.ForKind.SERIAL, loop.body)

    alone = structural_map(scheduled, (tirx.For, serial))
    llvm = TARGETS["x86-64-v3"].llvm
    np.testing.assert_array_equal(call(scheduled, [x], llvm), call(alone, [x], llvm))


NETWORKS = {
    "softmax_of_a_segmentation": (lambda x: x.softmax(1), [(1, 21, 64, 64)]),
    "softmax_of_odd_images": (lambda x: x.softmax(1), [(1, 2, 46, 46)]),
    "mean_of_channels": (lambda x: x.mean(1, True), [(1, 8, 64, 64)]),
    "mean_of_channels_of_odd_images": (lambda x: x.mean(1), [(1, 8, 67, 67)]),
    "product": (lambda x, y: x @ y, [(64, 32), (32, 64)]),
    "attention": (lambda x, y: (x @ y.transpose(1, 2)).softmax(-1) @ y, [(2, 67, 33), (2, 70, 33)]),
    "sum_of_everything": (lambda x: x.sum(), [(1, 3, 64, 65)]),
    "norm": (lambda x: x / x.square().sum(1, keepdim=True).sqrt(), [(1, 7, 67, 67)]),
    "mean_beside_convolution": (
        lambda x: torch.nn.functional.conv2d(x, torch.ones(4, 5, 3, 3) / 9, padding=1).mean(1), [(1, 5, 65, 65)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    """Against PyTorch, one thread and three, between pages that nobody may touch."""
    compute, shapes = NETWORKS[name]
    agree(Function(compute), *shapes)
