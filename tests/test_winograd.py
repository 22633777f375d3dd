"""Winograd's algorithm: its matrices, and its kernels over all kinds of images.

Unlike the direct kernel's, its results are not exact. Relative to the largest output they were measured to be within
1e-6 for tiles of 4 x 4 and 3e-7 for 2 x 2, up to 512 input channels; the tests allow five times that.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import RUNNABLE, Job, run_jobs
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn
from winograd_case import expected_of

from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.winograd import (
    POINTS,
    Tiling,
    input_matrix,
    kernel_matrix,
    output_matrix,
    transformed_weight,
)  # fmt: skip

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


def pruned(density: float, *, seed: int = 0) -> nn.Conv2d:
    """64 channels, 3x3, with blocks of 4 output channels."""
    torch.manual_seed(seed)
    layer = nn.Conv2d(64, 64, 3, 1, 1)
    with torch.no_grad():
        layer.weight *= (torch.rand(16, 1, 64, 1, 1) < density).expand(16, 4, 64, 1, 1).reshape(64, 64, 1, 1)
    return layer


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
