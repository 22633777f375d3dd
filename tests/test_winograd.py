"""Winograd's algorithm: its matrices, its kernels over all kinds of images, and when it is chosen.

Unlike the direct kernel's, its results are not exact. Relative to the largest output they were measured to be within
1e-6 for tiles of 4 x 4 and 3e-7 for 2 x 2, up to 512 input channels; the tests allow five times that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import RUNNABLE, Job, agree, compiled, kinds, run_jobs
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import LayerInfo, make_plan
from sparsecc.analyse.structure import Structure
from sparsecc.cost.winograd import winograd_gain
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.winograd import (
    POINTS,
    Tiling,
    input_matrix,
    kernel_matrix,
    output_matrix,
    suits,
    transformed_weight,
)  # fmt: skip
from sparsecc.lower.conv_reference import conv2d
from sparsecc.options import Options
from sparsecc.report import Report
from sparsecc.rewrite.winograd import input_key, output_key
from sparsecc.target import TARGETS
from sparsecc.target.x86 import X86

Float32 = NDArray[np.float32]
Padding = tuple[int, int, int, int]

TOLERANCE = {2: 1.5e-6, 4: 5e-6}
#: side of an output tile, target
KERNELS = [*((4, target) for target in RUNNABLE), *((2, target) for target in RUNNABLE[-1:])]
SAME: Padding = (1, 1, 1, 1)
NONE: Padding = (0, 0, 0, 0)


def conv(ic: int, oc: int, h: int, w: int, *, n: int = 1, padding: Padding = SAME) -> ConvSpec:
    return ConvSpec(n, ic, h, w, oc, 3, 3, padding=padding)


def normal(*shape: int, seed: int) -> Float32:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


_PLAIN = Epilogue()


def job_of(spec: ConvSpec, m: int, *, epilogue: Epilogue = _PLAIN, halo: Padding | None = None, seed: int = 0) -> Job:
    weight = normal(*spec.weight_shape, seed=seed) / np.float32(np.sqrt(9 * spec.ic))
    layer = ConvLayer("layer", "layer", spec, weight, normal(spec.oc, seed=seed + 1))
    inputs = [normal(spec.n, spec.ic, spec.ih, spec.iw, seed=seed + 2)]
    if epilogue.residual != "none":
        inputs.append(normal(spec.n, spec.oc, spec.oh, spec.ow, seed=seed + 3))
    return Job(layer, tuple(inputs), epilogue=epilogue, halo=halo, tile=m)


def expected_of(job: Job) -> Float32:
    layer, epilogue = job.layer, job.epilogue
    assert isinstance(layer, ConvLayer)
    y = conv2d(job.inputs[0], layer.weight, layer.bias, layer.spec)
    if epilogue.residual == "before":
        y = y + job.inputs[1]
    if epilogue.activation is not None:
        y = np.maximum(y, 0) if epilogue.activation.kind == "relu" else y / (1 + np.exp(-y))
    if epilogue.residual == "after":
        y = y + job.inputs[1]
    top, left, bottom, right = job.halo or NONE
    return np.pad(y, ((0, 0), (0, 0), (top, bottom), (left, right)))


def check(jobs: list[Job], *, target: str = "native") -> None:
    """Run all jobs and name those that are too far off."""
    far = {}
    for i, (job, found) in enumerate(zip(jobs, run_jobs(jobs, target=target), strict=True)):
        expected = expected_of(job)
        # all inputs and biases are of about one
        error = np.abs(found - expected).max() / max(1.0, np.abs(expected).max())
        if not error <= TOLERANCE[job.tile or 4]:
            far[i, str(job.layer.spec if isinstance(job.layer, ConvLayer) else "")] = error
    assert far == {}


# --- matrices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", POINTS)
def test_one_tile(m):
    """The algorithm's identity, in float64."""
    rng = np.random.default_rng(0)
    pixels, kernel = rng.standard_normal((m + 2, m + 2)), rng.standard_normal((3, 3))
    b, g, a = input_matrix(m), kernel_matrix(m), output_matrix(m)
    found = a @ ((g @ kernel @ g.T) * (b @ pixels @ b.T)) @ a.T
    expected = [[np.sum(pixels[i : i + 3, j : j + 3] * kernel) for j in range(m)] for i in range(m)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_matrices_of_two_by_two_are_those_of_lavin_and_gray():
    # rows of 0 and of infinity are theirs up to a sign that cancels
    np.testing.assert_array_equal(
        np.abs(input_matrix(2)), np.abs([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    )
    np.testing.assert_array_equal(np.abs(kernel_matrix(2)), [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0, 0, 1]])
    np.testing.assert_array_equal(output_matrix(2), [[1, 1, 1, 0], [0, 1, -1, 1]])


def test_transformed_weight_has_one_group_a_product():
    tiling = Tiling(conv(3, 5, 8, 8), 4)
    weight = normal(5, 3, 3, 3, seed=0)
    found = transformed_weight(weight, m=4)
    assert found.shape == tiling.product_spec.weight_shape
    g = kernel_matrix(4)
    expected = np.float32(g[1] @ weight[2, 1].astype(np.float64) @ g[3])
    assert found.reshape(6, 6, 5, 3)[1, 3, 2, 1] == expected


# --- kernels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "target"), KERNELS)
def test_image_sizes(m, target):
    squares = [(s, s) for s in (1, 2, 3, 4, 5, 7, 14, 16, 56)]
    others = [(17, 1), (1, 13), (8, 9), (33, 70), (2, 225)]
    check([job_of(conv(2, 3, h, w), m, seed=h) for h, w in squares + others], target=target)


@pytest.mark.parametrize("target", RUNNABLE)
def test_padding_batches_and_halos(target):
    cases: list[tuple[ConvSpec, Padding | None]] = [
        (conv(3, 4, 14, 14, padding=NONE), SAME),
        (conv(3, 4, 14, 14, n=2, padding=(0, 1, 2, 3)), None),
        (conv(3, 4, 9, 11, n=3, padding=(2, 1, 1, 0)), (0, 2, 0, 0)),
        (conv(3, 4, 3, 5, n=2, padding=(2, 2, 2, 2)), (2, 0, 1, 3)),
        (conv(3, 4, 28, 21, n=2, padding=SAME), SAME),
    ]
    check([job_of(spec, 4, halo=halo) for spec, halo in cases], target=target)


@pytest.mark.parametrize("target", RUNNABLE)
def test_epilogues(target):
    epilogues = [
        Epilogue(None if kind is None else Activation(kind), residual)
        for kind in (None, "relu", "silu")
        for residual in ("none", "before", "after")
    ]
    images = [((14, 14), None), ((7, 9), SAME)]
    cases = [(epilogue, *images[i % 2]) for i, epilogue in enumerate(epilogues)]
    check([job_of(conv(4, 3, *size, n=2), 4, epilogue=e, halo=halo) for e, size, halo in cases], target=target)


@pytest.mark.parametrize("m", POINTS)
def test_many_channels(m):
    check([job_of(conv(512, 8, 7, 7), m), job_of(conv(64, 24, 28, 28), m)])


@settings(max_examples=2, phases=[Phase.generate])
@given(data=st.data())
def test_any_shape(data):
    jobs = []
    for seed in range(5):
        top, left, bottom, right = (data.draw(st.integers(0, 2)) for _ in range(4))
        h = data.draw(st.integers(max(1, 3 - top - bottom), 40))
        w = data.draw(st.integers(max(1, 3 - left - right), 40))
        n, ic, oc = (data.draw(st.integers(1, 3)) for _ in range(3))
        spec = conv(ic + 1, oc, h, w, n=n, padding=(top, left, bottom, right))
        halo = data.draw(st.none() | st.tuples(*[st.integers(0, 2)] * 4))
        residual = data.draw(st.sampled_from(["none", "before", "after"]))
        epilogue = Epilogue(Activation("relu"), residual)
        jobs.append(job_of(spec, data.draw(st.sampled_from(list(POINTS))), epilogue=epilogue, halo=halo, seed=seed))
    check(jobs)


# --- when it is chosen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", X86)
def test_dense_layers_of_a_resnet_are_computed_by_it(target):
    gains = [
        winograd_gain(conv(c, c, s, s), None, TARGETS[target]) for c, s in ((64, 56), (128, 28), (256, 14), (512, 7))
    ]
    # at 7 x 7 pixels the weights of the larger tile cost more than its products save
    assert [gain and gain[0] for gain in gains] == [4, 4, 4, 2]
    assert all(gain and gain[1] > 1.25 for gain in gains)


@pytest.mark.parametrize(
    "change",
    [
        {"kh": 1, "kw": 1}, {"kh": 5, "kw": 5}, {"kw": 1}, {"stride": (2, 2)}, {"stride": (1, 2)}, {"dilation": (2, 2)},
        {"groups": 2}, {"groups": 64}, {"ic": 1},
    ],
)  # fmt: skip
def test_other_convolutions_are_not(change):
    spec = conv(64, 64, 56, 56)
    assert suits(spec)
    assert not suits(replace(spec, **change))
    assert winograd_gain(replace(spec, **change), None, TARGETS["x86-64-v3"]) is None


def test_small_layers_are_left_to_the_direct_kernel():
    assert winograd_gain(conv(8, 8, 14, 14), None, TARGETS["x86-64-v4"]) is None
    assert winograd_gain(conv(64, 64, 1, 1), None, TARGETS["x86-64-v4"]) is None


def gain(_spec: ConvSpec, _structure: Structure | None) -> tuple[int, float]:
    return 4, 2.0


def planned(weight: Float32, **options) -> LayerPlan:
    spec = conv(weight.shape[1], weight.shape[0], 14, 14)
    return make_plan([LayerInfo("conv", "conv", spec, weight)], winograd=gain, **options).layers[0]


def test_plan_says_so():
    layer = planned(normal(8, 8, 3, 3, seed=0))
    assert (layer.decision, layer.tile, layer.predicted) == ("dense", 4, 2.0)
    assert layer.reason == "no zero blocks; computed by Winograd's F(4x4, 3x3)"
    assert layer.kept_bytes == 4 * layer.dense_bytes
    assert LayerPlan.from_json(layer.to_json()).tile == 4


def test_layers_kept_dense_are_computed_by_it():
    weight = normal(8, 8, 3, 3, seed=0)
    weight[:4] = 0
    layer = planned(weight, keep_dense=["conv"])
    assert (layer.decision, layer.tile) == ("dense", 4)
    assert layer.reason == "kept dense by keep_dense=; computed by Winograd's F(4x4, 3x3)"


def test_weights_that_are_not_finite_are_left_to_the_direct_kernel():
    weight = normal(8, 8, 3, 3, seed=0)
    weight[0, 0, 0, 0] = np.inf
    assert planned(weight).tile is None


class Residual(nn.Module):
    """A dense stage of a residual network, with a strided layer between."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, 2, 1)
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.point = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        return self.point((self.second(self.first(x).relu()) + x).relu())


def test_network():
    artefact = agree(Residual(), (2, 3, 56, 52), tolerance=1e-5)
    # `point` needs no halo, so the strided layer and both transforms share contiguous planes
    steps = ["winograd_in", "direct", "winograd_out"]
    assert [kind for kind in kinds(artefact) if kind != "repack"] == ["direct", *steps, *steps, "direct"]
    chosen = {layer.name: layer.tile for layer in artefact.report.plan.layers}
    assert chosen == {"stem": None, "first": 4, "second": 4, "point": None}
    keys = {layer.name: layer.key for layer in artefact.report.plan.layers}
    order = [step["key"] for step in artefact.report.steps]
    at = order.index(keys["first"])
    assert order[at - 1 : at + 2] == [input_key(keys["first"]), keys["first"], output_key(keys["first"])]
    # what a difference from PyTorch is looked for in
    assert output_key(keys["second"]) in artefact.origins
    assert keys["second"] not in artefact.origins
    assert [layer.tile for layer in Report.from_json(artefact.report.to_json()).plan.layers] == [None, 4, 4, None]


def test_it_can_be_switched_off():
    artefact = compiled(Residual(), (torch.randn(1, 3, 56, 56),), winograd=False)
    assert all(layer.tile is None for layer in artefact.report.plan.layers)
    assert "winograd_in" not in kinds(artefact)
    assert Options().winograd


def pruned(density: float, *, seed: int = 0) -> nn.Conv2d:
    """64 channels, 3x3, with blocks of 4 output channels."""
    torch.manual_seed(seed)
    layer = nn.Conv2d(64, 64, 3, 1, 1)
    with torch.no_grad():
        layer.weight *= (torch.rand(16, 1, 64, 1, 1) < density).expand(16, 4, 64, 1, 1).reshape(64, 64, 1, 1)
    return layer


def test_sparse_layers_are_computed_by_it_where_it_is_faster():
    """With few blocks the transforms take longer than all multiply-adds."""

    def decision(density: float, **options):
        plan = compiled(pruned(density), (torch.randn(1, 64, 56, 56),), **options).report.plan.layers[0]
        return plan.decision, plan.tile

    assert decision(0.6) == ("sparse", 4)
    assert decision(0.6, winograd=False) == ("sparse", None)
    assert decision(0.1) == ("sparse", None)
