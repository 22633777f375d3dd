"""Convolutions of few input channels by Winograd's algorithm in one kernel, strided or not.

Relative to the largest output its results were measured to be within 2.2e-6 for 7x7 kernels of stride 2, 7e-7 for 3x3.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import RUNNABLE, Job, agree, compiled, kinds, run_jobs
from numpy.typing import NDArray
from torch import nn
from winograd_case import expected_of

from sparsecc.analyse.layers import LayerPlan
from sparsecc.importer import import_model
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.winograd import input_matrix, kernel_matrix, output_matrix
from sparsecc.ir.winograd_conv import PhaseTiling, packed_weight, suits_at_once
from sparsecc.kernels import regroup
from sparsecc.lower.cost.winograd import winograd_gain
from sparsecc.pipeline import extract
from sparsecc.rewrite.winograd import compute_at_once
from sparsecc.target import TARGETS

Float32 = NDArray[np.float32]
Padding = tuple[int, int, int, int]
TOLERANCE = 8e-6
SAME: Padding = (1, 1, 1, 1)
_PLAIN = Epilogue()


def conv(k: int, stride: int, h: int, w: int, *, ic: int = 3, oc: int = 8, n: int = 1, padding: Padding | None = None):
    return ConvSpec(n, ic, h, w, oc, k, k, (stride, stride), padding or (k // 2,) * 4)


def normal(*shape: int, seed: int) -> Float32:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def job_of(spec: ConvSpec, *, epilogue: Epilogue = _PLAIN, halo: Padding | None = None, seed: int = 0) -> Job:
    assert suits_at_once(spec)
    weight = normal(*spec.weight_shape, seed=seed) / np.float32(np.sqrt(spec.taps * spec.ic))
    layer = ConvLayer("layer", "layer", spec, weight, normal(spec.oc, seed=seed + 1))
    inputs = [normal(spec.n, spec.ic, spec.ih, spec.iw, seed=seed + 2)]
    if epilogue.residual != "none":
        inputs.append(normal(spec.n, spec.oc, spec.oh, spec.ow, seed=seed + 3))
    return Job(layer, tuple(inputs), epilogue=epilogue, halo=halo, at_once=True)


def check(jobs: list[Job], *, target: str = "native") -> None:
    """Run all jobs, on one and on three threads, and name those that are too far off."""
    far = {}
    for i, (job, found) in enumerate(zip(jobs, run_jobs(jobs, target=target), strict=True)):
        expected = expected_of(job)
        error = np.abs(found - expected).max() / max(1.0, np.abs(expected).max())
        if not error <= TOLERANCE:
            far[i] = error
    assert far == {}


# --- matrices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taps", [2, 3, 4])
def test_one_tile(taps):
    """The algorithm's identity, in float64."""
    rng = np.random.default_rng(0)
    side = taps + 3
    pixels, kernel = rng.standard_normal((side, side)), rng.standard_normal((taps, taps))
    b, g, a = input_matrix(4, taps), kernel_matrix(4, taps), output_matrix(4, taps)
    found = a @ ((g @ kernel @ g.T) * (b @ pixels @ b.T)) @ a.T
    expected = [[np.sum(pixels[i : i + taps, j : j + taps] * kernel) for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(("k", "stride", "products"), [(3, 1, 36), (3, 2, 81), (5, 2, 121), (7, 2, 169), (4, 2, 100)])
def test_products_of_a_channel(k, stride, products):
    """Phases that are a tap shorter have nothing at infinity."""
    assert len(PhaseTiling(conv(k, stride, 64, 64, ic=1)).order) == products


def test_weights_of_a_channel_lie_together():
    tiling = PhaseTiling(conv(7, 2, 64, 64))
    weight = normal(8, 3, 7, 7, seed=0)
    packed = packed_weight(tiling, weight, reg_n=4).reshape(2, len(tiling.order), 4)
    row, col, part = tiling.order[5]
    phase = np.float64(weight[6, part.channel, part.row :: 2, part.col :: 2])
    g = kernel_matrix(4, 4)
    assert packed[1, 5, 2] == np.float32(g[row, : len(phase)] @ phase @ g[col, : phase.shape[1]])


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("step", [4, 8])
def test_elements_are_regrouped(lanes, step, monkeypatch):
    """Every ``step``-th float of each of ``lanes / 4`` rows, by shuffles of two vectors."""

    def shuffle(vectors, held, wanted):
        return np.concatenate(vectors)[[list(held).index(element) for element in wanted]]

    monkeypatch.setattr(regroup, "shuffle", shuffle)
    monkeypatch.setattr(regroup, "T", type("", (), {"bind": staticmethod(lambda value: value)}))
    held = [range(first, first + lanes) for first in range(0, lanes * step, lanes)]
    wanted = [[tile * step + pixel for tile in range(lanes)] for pixel in range(step)]
    for needed in (wanted, wanted[: step - 2]):
        found = regroup.regrouped([np.array(lanes) for lanes in held], held, needed)
        np.testing.assert_array_equal(found, needed)


# --- kernels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", RUNNABLE)
def test_image_sizes(target):
    """Tiles and blocks that reach beyond the image, blocks that overlap; images of many channels' last groups."""
    cases = [
        conv(7, 2, 26, 26), conv(7, 2, 33, 51), conv(7, 2, 64, 100), conv(3, 2, 29, 34, oc=6), conv(3, 1, 13, 45),
        conv(5, 2, 40, 31, ic=1), conv(4, 2, 36, 64, ic=2), conv(3, 1, 16, 16, ic=2, oc=5),
    ]  # fmt: skip
    check([job_of(spec, seed=i) for i, spec in enumerate(cases)], target=target)


@pytest.mark.parametrize("target", RUNNABLE[-1:])
def test_padding_batches_and_halos(target):
    cases: list[tuple[ConvSpec, Padding | None]] = [
        (conv(7, 2, 40, 40, n=2), SAME),
        (conv(7, 2, 45, 37, padding=(2, 3, 3, 2)), None),
        (conv(3, 2, 31, 40, padding=(0, 1, 1, 0)), (0, 2, 0, 0)),
        (conv(3, 1, 20, 19, n=3, padding=(0, 0, 0, 1)), (2, 0, 1, 3)),
        (conv(3, 1, 16, 21, padding=(4, 5, 6, 3)), None),
    ]
    check([job_of(spec, halo=halo) for spec, halo in cases], target=target)


def test_epilogues():
    epilogues = [
        Epilogue(None if kind is None else Activation(kind), residual)
        for kind in (None, "relu", "silu")
        for residual in ("none", "before", "after")
    ]
    jobs = [
        job_of(conv(3, 1, 18, 21, n=2), epilogue=epilogue, halo=SAME if i % 2 else None)
        for i, epilogue in enumerate(epilogues)
    ]
    check(jobs)


# --- when it is chosen ---------------------------------------------------------------------------------------------

STEM = conv(7, 2, 224, 224, oc=64)


@pytest.mark.parametrize(
    "change",
    [
        {"kw": 5}, {"kh": 1, "kw": 1}, {"kh": 11, "kw": 11}, {"stride": (2, 1)}, {"stride": (4, 4)}, {"ic": 4},
        {"dilation": (2, 2)}, {"ih": 18}, {"iw": 18}, {"groups": 3},
    ],
)  # fmt: skip
def test_what_does_not_suit(change):
    assert suits_at_once(STEM)
    assert not suits_at_once(replace(STEM, **change))
    assert winograd_gain(replace(STEM, **change), None, TARGETS["x86-64-v3"]) is None


@pytest.mark.parametrize("target", TARGETS)
def test_first_layers_of_residual_networks_gain(target):
    found = winograd_gain(STEM, None, TARGETS[target])
    assert found is not None
    assert found[0] == 4
    assert found[1] > 1.9


def test_first_layers_of_mobile_networks_do_not():
    """Their tiles are small: 81 products in the place of 144, for 25 points a channel that are transformed back."""
    assert winograd_gain(conv(3, 2, 224, 224, oc=32), None, TARGETS["x86-64-v4"]) is None


class Stem(nn.Module):
    """The begin of a residual network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 7, 2, 3)
        self.next = nn.Conv2d(16, 8, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.next(nn.functional.max_pool2d(self.stem(x).relu(), 3, 2, 1))


def test_network():
    torch.manual_seed(0)
    artefact = agree(Stem(), (2, 3, 72, 80), tolerance=1e-5)
    assert kinds(artefact)[0] == "winograd_conv"
    layer = artefact.report.plan.layers[0]
    assert (layer.decision, layer.tile, layer.at_once) == ("dense", 4, True)
    assert layer.reason == "no zero blocks; computed by Winograd's F(4x4, 7x7)"
    assert layer.kept_bytes == 4 * 507 * 16
    assert LayerPlan.from_json(layer.to_json()).at_once
    # a difference from PyTorch is looked for in the layer's own step
    assert layer.key in artefact.origins


def test_it_can_be_switched_off():
    artefact = compiled(Stem(), (torch.randn(1, 3, 72, 80),), winograd=False)
    assert artefact.report.plan.layers[0].tile is None
    assert "winograd_conv" not in kinds(artefact)


def test_pruned_layers_are_left_to_the_direct_kernel():
    """All blocks are computed here; with few of them the direct kernel is faster."""
    torch.manual_seed(0)
    model = Stem()
    with torch.no_grad():
        model.stem.weight[:, 1:] = 0
    layer = compiled(model, (torch.randn(1, 3, 72, 80),)).report.plan.layers[0]
    assert (layer.decision, layer.tile) == ("sparse", None)
    layer = compiled(model, (torch.randn(1, 3, 72, 80),), keep_dense=["stem"]).report.plan.layers[0]
    assert (layer.decision, layer.at_once) == ("dense", True)


def test_only_named_layers_are_rewritten():
    graph = extract(import_model(Stem().eval(), (torch.randn(1, 3, 72, 80),))).graph
    assert compute_at_once(graph, set()) == graph
    pool = next(node for node in graph.nodes if node.operator.kernel == "pool")
    assert compute_at_once(graph, {pool.key}) == graph
    found = compute_at_once(graph, {graph.nodes[0].key})
    assert [node.operator.kernel for node in found.nodes] == ["winograd_conv", "pool", "conv"]
    assert [node.inputs for node in found.nodes] == [node.inputs for node in graph.nodes]
