"""How exact Winograd's algorithm is: every kind of layer, and whole networks, against float64.

A layer is within 1e-5 of its largest output. So are networks, but for some dense ones with random weights that amplify
any rounding: there PyTorch's own float32 is up to 2e-5 off, and the bound is four times that.
"""

from __future__ import annotations

import copy
from pathlib import Path

import nets
import numpy as np
import pytest
import torch
from helpers import RUNNABLE, Job, random_inputs, run_jobs
from nets.patterns import prunable_layers
from numpy.typing import NDArray
from test_winograd import conv, job_of
from test_winograd_sparse import job
from torch import nn
from winograd_case import compiled_with, leaves

import sparsecc
from sparsecc.analyse.impose import Impose, imposed
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.winograd import POINTS

BOUND = 1e-5
#: of PyTorch's own error, where networks amplify rounding
_AMPLIFIED = 4
#: input channels and pixels of a side of a ResNet's layers
LAYERS = ((64, 56), (128, 28), (256, 14), (512, 7))
#: those with 3x3 layers of stride 1 and one group
NETWORKS = (
    "squeezenet", "resnet18", "resnet34", "resnet50", "se_resnet50", "vgg16", "densenet121", "inception_like",
    "darknet53_yolo", "unet", "unet_prelu", "fpn",
)  # fmt: skip


@torch.no_grad()
def exact(made: Job) -> NDArray[np.float64]:
    layer = made.layer
    assert isinstance(layer, ConvLayer)
    x, weight, bias = (torch.from_numpy(a).double() for a in (made.inputs[0], layer.weight, layer.bias))
    found: NDArray[np.float64] = nn.functional.conv2d(x, weight, bias, padding=1).numpy()
    return found


@pytest.mark.parametrize("target", RUNNABLE[-1:])
@pytest.mark.parametrize("m", POINTS)
def test_layers(m, target):
    specs = [conv(channels, 16, size, size) for channels, size in LAYERS]
    jobs = [job_of(spec, m, seed=i) for i, spec in enumerate(specs)]
    jobs += [job(spec, m, block_n=n, kept=kept) for spec in specs for n, kept in ((4, 0.5), (16, 0.1))]
    error = {}
    for i, (made, found) in enumerate(zip(jobs, run_jobs(jobs, target=target), strict=True)):
        expected = exact(made)
        error[i] = np.abs(found - expected).max() / np.abs(expected).max()
    assert len(error) == 3 * len(LAYERS)
    assert {i: e for i, e in error.items() if not e <= BOUND} == {}


def pruned(model: nn.Module, pattern: Impose | None) -> nn.Module:
    for name in prunable_layers(model) if pattern else ():
        layer = model.get_submodule(name)
        if pattern and isinstance(layer, nn.Conv2d):
            weight = imposed(layer.weight.detach().numpy(), pattern, groups=layer.groups)
            layer.weight.data = torch.from_numpy(weight)
    return model


def differences(lib: sparsecc.Compiled, model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[float, float]:
    """Largest error of the library and of PyTorch, each relative to the largest output."""
    with torch.no_grad():
        expected = leaves(copy.deepcopy(model).double()(*(x.double() for x in inputs)))
        float32 = leaves(model(*inputs))
    found = leaves(lib(*inputs))
    scale = [np.abs(y).max() for y in expected]

    def error(results: list[NDArray[np.float64]]) -> float:
        pairs = zip(results, expected, scale, strict=True)
        return max(float(np.abs(y - right).max() / most) for y, right, most in pairs)

    return error(found), error(float32)


@pytest.mark.parametrize(
    ("name", "tile", "pattern"),
    [
        pytest.param(
            name, tile, pattern, id=f"{name}-{tile}x{tile}-{pattern or 'dense'}",
            marks=() if (name, tile) in (("resnet18", 4), ("squeezenet", 2)) else pytest.mark.slow,
        )
        for name in NETWORKS for tile in POINTS for pattern in (None, Impose(4, 0.5))
    ],
)  # fmt: skip
def test_thin_networks_with_all_layers_by_it(name: str, tile: int, pattern: Impose | None, tmp_path: Path) -> None:
    model, inputs = pruned(nets.build(name, width=0.25).eval(), pattern), random_inputs((1, 3, 65, 97))
    found, float32 = differences(compiled_with(tile, model, inputs, tmp_path), model, inputs)
    assert found <= max(BOUND, _AMPLIFIED * float32)
    if pattern is not None:
        assert found <= BOUND


@pytest.mark.slow
@pytest.mark.parametrize("pattern", [None, Impose(4, 0.5)], ids=["dense", "pruned"])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_as_they_are_compiled(name: str, pattern: Impose | None) -> None:
    model, inputs = pruned(nets.build(name).eval(), pattern), random_inputs((1, 3, 224, 224))
    lib = sparsecc.compile(model, "x86-64-v3", example_inputs=inputs, verify=False, threads=1)
    assert any(layer.tile for layer in lib.report.plan.layers)
    found, float32 = differences(lib, model, inputs)
    assert found <= max(BOUND, _AMPLIFIED * float32)
    if pattern is not None:
        assert found <= BOUND
