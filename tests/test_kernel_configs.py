"""Every kernel by itself against the NumPy reference: exact, as the cases' sums are, with many configs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import BY_NAME, CASES, Case, build
from helpers import RUNNABLE, Job, run_jobs
from numpy.typing import NDArray

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import Combine, ConvLayer, MeanLayer, PoolLayer
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.linear import LinearConfig
from sparsecc.lower.conv_reference import conv2d, sparse_conv2d
from sparsecc.lower.cost.decide import work_of
from sparsecc.lower.cost.direct_space import direct_space
from sparsecc.target import TARGETS

#: many configs a case: minutes
pytestmark = pytest.mark.slow

Float32 = NDArray[np.float32]
Pick = Callable[[list[DirectConfig]], DirectConfig]

DIRECT = [case for case in CASES if not case.spec.is_linear and not case.spec.is_depthwise]
LINEAR = [case for case in CASES if case.spec.is_linear]
DEPTHWISE = [case for case in CASES if case.spec.is_depthwise]

#: corners of the space of configs
PICKS: dict[str, Pick] = {
    "narrow": lambda space: min(space, key=lambda c: (c.lanes, c.vectors, c.reg_n, c.rows_outer)),
    "wide": lambda space: max(space, key=lambda c: (c.lanes, c.vectors, c.reg_n, c.rows_outer)),
    "long": lambda space: max(space, key=lambda c: (c.vectors, c.lanes, c.reg_n, not c.rows_outer)),
    "tall": lambda space: max(space, key=lambda c: (c.reg_n, c.vectors, c.lanes, not c.rows_outer)),
    "rolled": lambda space: replace(max(space, key=lambda c: (c.reg_n, c.lanes)), unroll_taps=False),
}
HALOS = {"narrow": (1, 1, 1, 1), "wide": None, "long": (0, 2, 0, 0), "tall": (2, 0, 1, 3), "rolled": None}


def combinations(names: Iterable[str], *, quick: Collection[str]) -> list[Any]:
    """Every name on every target that runs here: all on the widest one, the quick ones on the others; the rest slow."""
    widest = RUNNABLE[-1] if RUNNABLE else None
    return [
        pytest.param(name, target, marks=() if name in quick or target == widest else pytest.mark.slow)
        for target in RUNNABLE
        for name in names
    ]


def layer_of(case: Case) -> ConvLayer:
    arrays = build(case)
    bias = np.zeros(case.spec.oc, np.float32) if arrays.bias is None else arrays.bias
    return ConvLayer("layer", "layer", case.spec, arrays.weight, bias)


def padded(y: Float32, halo: tuple[int, int, int, int] | None) -> Float32:
    top, left, bottom, right = halo or (0, 0, 0, 0)
    return np.pad(y, ((0, 0), (0, 0), (top, bottom), (left, right)))


def assert_equal(jobs: list[Job], expected: list[Float32], *, names: list[str], target: str) -> None:
    """Compare all results; name those that differ."""
    found = run_jobs(jobs, target=target)
    pairs = zip(names, found, expected, strict=True)
    assert [name for name, y, want in pairs if not np.array_equal(y, want, equal_nan=True)] == []


# --- direct --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pick", "target"), combinations(PICKS, quick=["wide"]))
def test_direct_sparse(pick: str, target: str) -> None:
    halo, cases = HALOS[pick], DIRECT
    jobs = [Job(layer_of(c), (build(c).x,), build(c).blocks.grouping, PICKS[pick], halo) for c in cases]
    expected = [padded(build(c).y, halo) for c in cases]
    assert_equal(jobs, expected, names=[c.name for c in cases], target=target)


@pytest.mark.parametrize(("pick", "target"), combinations(["wide", "tall"], quick=["tall"]))
def test_direct_dense(pick: str, target: str) -> None:
    cases = [case for case in DIRECT if case.name not in ("image_56x56",)]
    jobs = [Job(layer_of(c), (build(c).x,), None, PICKS[pick]) for c in cases]
    assert_equal(jobs, [build(c).y for c in cases], names=[c.name for c in cases], target=target)


#: small shapes for which every config is tried
SMALL = {
    "3x3": replace(BY_NAME["n4"], name="small_3x3", spec=ConvSpec(1, 6, 6, 6, 8, 3, 3, padding=(1, 1, 1, 1))),
    "strided": replace(BY_NAME["n4"], name="small_strided", spec=ConvSpec(2, 5, 9, 7, 6, 3, 3, (2, 2), (1, 1, 1, 1))),
    "1x1": replace(BY_NAME["n16"], name="small_1x1", spec=ConvSpec(1, 8, 5, 5, 32)),
}


@pytest.mark.parametrize(("name", "target"), combinations(SMALL, quick=["strided"]))
def test_every_config_computes_the_same(name: str, target: str) -> None:
    case = SMALL[name]
    arrays, spec = build(case), case.spec
    work = work_of(spec, rows=arrays.blocks.rows, block_n=case.block_n, nnzb=arrays.blocks.nnzb)
    configs = list(direct_space(work, TARGETS[target]))
    assert len(configs) > 20
    jobs = [Job(layer_of(case), (arrays.x,), arrays.blocks.grouping, lambda space, c=c: c) for c in configs]
    assert_equal(jobs, [arrays.y] * len(jobs), names=[str(c) for c in configs], target=target)


@pytest.mark.parametrize("residual", ["before", "after"])
def test_residual_and_activation(residual: str) -> None:
    epilogue = Epilogue(Activation("clip", (-0.5, 1.5)), residual)
    names = ["3x3", "rearranged", "batch_3", "3x3_stride_2", "width_1", "depthwise", "linear"]
    cases = [BY_NAME[name] for name in names]
    halos = [None if name == "linear" else (1, 1, 1, 1) for name in names]
    others = [np.roll(build(c).y, 1, axis=1) for c in cases]

    def finish(y: Float32, other: Float32) -> Float32:
        return np.clip(y + other, -0.5, 1.5) if residual == "before" else np.clip(y, -0.5, 1.5) + other

    pairs = list(zip(cases, others, halos, strict=True))
    jobs = [Job(layer_of(c), (build(c).x, o), build(c).blocks.grouping, None, h, epilogue) for c, o, h in pairs]
    assert_equal(jobs, [padded(finish(build(c).y, o), h) for c, o, h in pairs], names=names, target="native")


@pytest.mark.parametrize("name", ["3x3", "3x3_valid", "3x3_stride_2", "rearranged", "1x1", "depthwise"])
def test_inf_and_nan_stay_where_they_belong(name: str) -> None:
    case = BY_NAME[name]
    arrays, x = build(case), build(case).x.copy()
    x[0, 1, 2, 3], x[0, 2, -1, -1], x[0, 0, 0, 0] = np.inf, np.nan, -np.inf
    bias = np.zeros(case.spec.oc, np.float32) if arrays.bias is None else arrays.bias
    with np.errstate(invalid="ignore"):
        expected = padded(sparse_conv2d(x, arrays.blocks, bias, case.spec), (1, 1, 1, 1))
    job = Job(layer_of(case), (x,), arrays.blocks.grouping, halo=(1, 1, 1, 1))
    found = run_jobs([job])[0]
    # the reader is a dense identity: what is not finite spreads over all channels of a pixel
    pixels = np.isfinite(expected).all(axis=1, keepdims=True) & np.ones_like(expected, np.bool_)
    np.testing.assert_array_equal(found[pixels], expected[pixels])
    assert not np.isfinite(found[~pixels]).all()


# --- linear --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(("lanes", "reg_m"), [(1, 1), (2, 3), (4, 2), (4, 8)])
def test_linear_sparse(lanes: int, reg_m: int, target: str) -> None:
    cases = [replace(case, spec=replace(case.spec, n=n), name=f"{case.name}_{n}") for case in LINEAR for n in (1, 3, 5)]
    config = lambda shape, target: LinearConfig(lanes, min(reg_m, shape.m))  # noqa: E731
    patch = (("sparsecc.lower.linear._config", config),)
    jobs = [Job(layer_of(c), (build(c).x,), build(c).blocks.grouping, patches=patch) for c in cases]
    assert_equal(jobs, [build(c).y for c in cases], names=[c.name for c in cases], target=target)


@pytest.mark.parametrize("target", RUNNABLE)
def test_linear_dense(target: str) -> None:
    sizes = [(1, 7, 1), (1, 7, 3), (2, 33, 16), (1, 100, 65), (9, 12, 130), (17, 5, 31), (1, 1, 1)]
    cases = [Case(f"linear_{m}_{ic}_{oc}", ConvSpec(m, ic, 1, 1, oc), block_n=1) for m, ic, oc in sizes]
    jobs = [Job(layer_of(c), (build(c).x,)) for c in cases]
    assert_equal(jobs, [build(c).y for c in cases], names=[c.name for c in cases], target=target)


# --- windows -------------------------------------------------------------------------------------------------------


#: windows that differ from another case's in their channels or patterns only
ALIKE = [
    "image_7x7", "image_28x28", "groups_2", "groups_8_of_4", "groups_2_rearranged", "depthwise", "ic_1", "uniform_3x3",
    "rearranged", "empty_row", "dead_tap", "all_zero", "dense", "depthwise_twice",
]  # fmt: skip


def window_specs(*, oc: int = 1) -> dict[str, ConvSpec]:
    """Windows of every geometry that the convolutions of the cases have."""
    specs = {c.name: c.spec for c in CASES if c.spec.taps > 1 and c.name not in ("stem_7x7_stride_2", *ALIKE)}
    return {name: replace(s, ic=4, oc=4 * oc, groups=4) for name, s in specs.items()}


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize(("vectors", "halo"), [(1, None), (4, (1, 1, 1, 1)), (9, (0, 0, 2, 1))])
def test_depthwise(vectors: int, halo: tuple[int, int, int, int] | None, target: str) -> None:
    specs = {**window_specs(), **{f"{name}_twice": spec for name, spec in window_specs(oc=2).items()}}
    cases = [Case(name, spec, block_n=1, density=1.0) for name, spec in specs.items()] + DEPTHWISE
    patch = (("sparsecc.lower.window._MOST_VECTORS", vectors),)
    jobs = [Job(layer_of(c), (build(c).x,), None, halo=halo, patches=patch) for c in cases]
    expected = [padded(build(c).y, halo) for c in cases]
    assert_equal(jobs, expected, names=[c.name for c in cases], target=target)


def pooled(x: Float32, layer: PoolLayer) -> Float32:
    """Pooling in the plainest form: a loop over taps."""
    spec, fill = layer.spec, 0.0 if layer.combine == "sum" else -np.inf
    top, left, bottom, right = spec.padding
    image = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    (sh, sw), (dh, dw) = spec.stride, spec.dilation
    taps = [
        image[:, :, a * dh : a * dh + sh * spec.oh : sh, b * dw : b * dw + sw * spec.ow : sw]
        for a in range(spec.kh)
        for b in range(spec.kw)
    ]
    return np.max(taps, axis=0) if layer.combine == "max" else np.sum(taps, axis=0)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("halo", [None, (1, 1, 1, 1)])
@pytest.mark.parametrize("combine", ["max", "sum"])
def test_pool(combine: Combine, halo: tuple[int, int, int, int] | None, target: str) -> None:
    # a window of padding only has no maximum; PyTorch does not allow it
    specs = {name: spec for name, spec in window_specs().items() if name != "asymmetric_padding"}
    layers = [PoolLayer(name, name, spec, combine, divisor=8) for name, spec in specs.items()]
    images = [build(Case(layer.name, layer.spec, block_n=1)).x - 2 for layer in layers]
    jobs = [Job(layer, (x,), halo=halo) for layer, x in zip(layers, images, strict=True)]
    scale = np.float32(1 if combine == "max" else 1 / 8)
    expected = [padded(pooled(x, layer) * scale, halo) for x, layer in zip(images, layers, strict=True)]
    assert_equal(jobs, expected, names=list(specs), target=target)


def test_max_pool_of_nan_and_infinity() -> None:
    layer = PoolLayer("pool", "pool", ConvSpec(1, 1, 4, 6, 1, 3, 3, (1, 1), (1, 1, 1, 1), groups=1), "max")
    x = np.zeros((1, 1, 4, 6), np.float32)
    x[0, 0, 0, 0], x[0, 0, 3, 5] = np.nan, np.inf
    expected = np.zeros_like(x)
    expected[0, 0, :2, :2], expected[0, 0, 2:, 4:] = np.nan, np.inf
    np.testing.assert_array_equal(run_jobs([Job(layer, (x,))])[0], expected)


@pytest.mark.xfail(strict=True, reason="maxima start from the lowest finite float32")
def test_max_pool_of_minus_infinity_only() -> None:
    layer = PoolLayer("pool", "pool", ConvSpec(1, 1, 3, 3, 1, 3, 3, (1, 1), (1, 1, 1, 1), groups=1), "max")
    x = np.full((1, 1, 3, 3), -np.inf, np.float32)
    np.testing.assert_array_equal(run_jobs([Job(layer, (x,))])[0], x)


# --- mean and copies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", RUNNABLE)
def test_mean(target: str) -> None:
    sizes = [(1, 1, 1, 1), (2, 3, 1, 8), (1, 5, 4, 4), (1, 2, 2, 64), (3, 4, 8, 16), (1, 300, 2, 2)]
    images = [build(Case(f"mean_{i}", ConvSpec(n, c, h, w, 1))).x for i, (n, c, h, w) in enumerate(sizes)]
    jobs = [Job(MeanLayer("mean", "mean", *x.shape), (x,)) for x in images]
    expected = [x.mean((2, 3), keepdims=True) for x in images]
    assert_equal(jobs, expected, names=list(map(str, sizes)), target=target)


@pytest.mark.parametrize("target", RUNNABLE)
def test_copies_between_layouts(target: str) -> None:
    """Packing and unpacking by identities of one tap, with all strides and paddings."""
    strides, halos = [(1, 1), (2, 2), (3, 1), (1, 4), (5, 7)], [(0, 0, 0, 0), (1, 2, 0, 0), (0, 0, 3, 1), (4, 4, 4, 4)]
    specs = [
        ConvSpec(2, 3, h, w, 3, stride=stride, padding=halo)
        for h, w in ((1, 1), (5, 1), (1, 9), (8, 33))
        for stride in strides
        for halo in halos
    ]
    weight, bias = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1), np.zeros(3, np.float32)
    images = [build(Case(f"copy_{i}", spec)).x for i, spec in enumerate(specs)]
    jobs = [Job(ConvLayer("copy", "copy", s, weight, bias), (x,)) for s, x in zip(specs, images, strict=True)]
    expected = [conv2d(x, weight, bias, spec) for spec, x in zip(specs, images, strict=True)]
    assert_equal(jobs, expected, names=list(map(str, specs)), target=target)
