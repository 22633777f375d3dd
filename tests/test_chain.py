"""A convolution and the window kernel after it as one kernel: equal to both alone, and to PyTorch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from chain_case import SIZES, WINDOWS, net
from helpers import agree, compiled, kinds, random_inputs, run_strictly
from torch import nn

from sparsecc.analyse.structure import find_structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.lower import chain as lower_chain
from sparsecc.lower.cost.chain import join_cycles, plane_parts
from sparsecc.target import TARGETS


def always(monkeypatch: pytest.MonkeyPatch, pays: bool) -> None:
    monkeypatch.setattr("sparsecc.lower.join.join_cycles", lambda *args: (0, 1) if pays else (1, 0))


@pytest.mark.parametrize(("index", "window"), enumerate(WINDOWS), ids=list(WINDOWS))
def test_chain_is_right(index, window, monkeypatch):
    """Sizes, strides, patterns and targets are spread over the windows."""
    size = SIZES[index % len(SIZES)]
    size = tuple(max(s, 12) for s in size) if window in ("9x9", "no_padding", "dilated") else size
    model = net(window, pruned=index % 2 == 0, rearranged=index % 4 == 0, stride=1 + (index % 3 == 2))
    always(monkeypatch, True)
    artefact = agree(model, (1 + index % 2, 10, *size), min_speedup=1e-9, winograd=False)
    assert "chain" in kinds(artefact)
    assert "window" not in kinds(artefact)


@pytest.mark.parametrize("window", ["3x3", "3x3_stride_2"])
def test_chain_of_single_taps(window, monkeypatch):
    model = net(window, pruned=False, rearranged=False)
    first = model[0]
    first.weight.data *= torch.rand(first.weight.shape, generator=torch.Generator().manual_seed(1)) < 0.2
    always(monkeypatch, True)
    artefact = agree(model, (1, 10, 14, 14), min_speedup=1e-9, winograd=False)
    assert "chain" in kinds(artefact)
    assert artefact.report.plan.layers[0].structure.label == "1t"


def test_chain_computes_what_two_kernels_compute(monkeypatch):
    model, given = net("3x3_stride_2", pruned=True, rearranged=True).eval(), random_inputs((2, 10, 15, 21))
    results = []
    for pays in (True, False):
        always(monkeypatch, pays)
        results.append(run_strictly(compiled(model, given, min_speedup=1e-9), given))
    assert np.array_equal(results[0][0], results[1][0])


def test_a_result_that_others_read_is_kept(monkeypatch):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.pool = nn.Conv2d(4, 8, 1), nn.MaxPool2d(2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = self.conv(x)
            return self.pool(y), y.exp()

    always(monkeypatch, True)
    assert "chain" not in kinds(agree(Twice(), (1, 4, 8, 8)))


def test_report_and_plan_name_the_joined_layer(monkeypatch):
    always(monkeypatch, True)
    model = net("3x3", pruned=False, rearranged=False).eval()
    artefact = compiled(model, random_inputs((1, 10, 14, 14)), winograd=False)
    step = next(step for step in artefact.report.steps if step["kind"] == "chain")
    assert step["joined"] == ["layer_2"]
    assert step["key"] in {layer.key for layer in artefact.report.plan.layers}


def test_large_tensors_are_worth_a_chain():
    target = TARGETS["x86-64-v4"]
    spec = ConvSpec(1, 32, 112, 112, 64)
    weight = np.random.default_rng(0).standard_normal(spec.weight_shape).astype(np.float32)
    weight[:, ::2] = 0
    window = depthwise(64, 112)
    for structure in (find_structure(weight, groups=1), None):
        joined, apart = join_cycles(spec, structure, window, target)
        assert joined < apart
    joined, apart = join_cycles(ConvSpec(1, 512, 7, 7, 4), None, depthwise(4, 7), target)
    assert joined > apart


def depthwise(channels: int, size: int) -> ConvSpec:
    return ConvSpec(1, channels, size, size, channels, 3, 3, padding=(1, 1, 1, 1), groups=channels)


@pytest.mark.parametrize("window", [nn.MaxPool2d(3, 2), nn.AvgPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 1)])
def test_bands_of_large_planes_share_scratch_memory(window, monkeypatch):
    """Several bands, and halves of the image that meet inside of one; without a halo nothing is filled."""
    always(monkeypatch, True)
    model, given = nn.Sequential(nn.Conv2d(3, 8, 1), window).eval(), random_inputs((1, 3, 97, 81))
    artefact = compiled(model, given)
    assert "chain" in kinds(artefact)
    with torch.no_grad():
        expected = model(*given).numpy()
    np.testing.assert_allclose(run_strictly(artefact, given)[0], expected, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 3), (2, 2), (2, 3), (3, 3), (3, 2), (1, 5)])
@pytest.mark.parametrize("window", ["3x3_stride_2", "max_pool"])
def test_planes_smaller_than_a_vector(window, size, monkeypatch):
    """All pixels are one vector, an odd number of them maybe, that is dealt out to two halves."""
    always(monkeypatch, True)
    model = net(window, pruned=True, rearranged=False)
    assert "chain" in kinds(agree(model, (1, 10, *size), min_speedup=1e-9, winograd=False))


@pytest.mark.parametrize(("window", "parts"), [("3x3", 3), ("3x3_stride_2", 2), ("3x3_stride_2", 4), ("max_pool", 3)])
def test_parts_of_an_image_compute_what_the_whole_does(window, parts, monkeypatch):
    """Equal to the two kernels bit for bit, however bands are divided among parts."""
    model, given = net(window, pruned=True, rearranged=False).eval(), random_inputs((2, 10, 29, 18))
    always(monkeypatch, False)
    expected = run_strictly(compiled(model, given, min_speedup=1e-9, winograd=False), given)
    always(monkeypatch, True)
    monkeypatch.setattr(lower_chain, "plane_parts", lambda spec, *, bands, **facts: min(parts, bands))
    artefact = compiled(model, given, min_speedup=1e-9, winograd=False)
    assert "chain" in kinds(artefact)
    np.testing.assert_array_equal(run_strictly(artefact, given)[0], expected[0])


def test_large_inputs_are_cut_into_parts_that_stay_in_the_cache():
    target = TARGETS["x86-64-v4"]

    def parts(window: ConvSpec, image_bytes: int, *, bands: int = 16) -> int:
        floats = window.oh * window.ow
        return plane_parts(window, bands=bands, floats=floats, image_bytes=image_bytes, target=target)

    assert parts(depthwise(8, 112), 1 << 20) == 2
    assert parts(depthwise(8, 112), 1600 << 10) == 2, "more rows between four parts would be computed twice"
    assert parts(replace(depthwise(8, 112), stride=(2, 2)), 1600 << 10) == 4
    assert parts(depthwise(8, 112), 1 << 20, bands=7) == 1
    assert parts(depthwise(8, 14), 1 << 20) == 1
