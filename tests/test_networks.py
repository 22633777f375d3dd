"""Whole networks against PyTorch: every architecture, dense and pruned in every pattern."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import nets
import pytest
import torch

import sparsecc

LIMIT = 1e-4
#: networks that take long to compile and have no operator that the others lack
HEAVY = [
    *("densenet121", "darknet53_yolo", "unet_prelu", "resnet34", "se_resnet50", "regnet_y_400mf", "resnet50"),
    *("mnasnet", "vgg16", "inception_like", "mobilenet_v2", "mobilenet_v3_large", "resnext50"),
]
SIZES = [(64, 64), (97, 161), (225, 225)]
#: N, sparsity, rearranged, uniform; unstructured 90 % is left to full width, where channels do not die of it
PATTERNS = [
    (1, 0.75, False, False),
    (2, 0.75, False, False),
    (4, 0.5, True, False),
    (8, 0.75, False, True),
    (16, 0.75, False, False),
    (16, 0.5, True, True),
    (32, 0.9, False, False),
    (32, 0.5, True, False),
]


def pruned(name: str, pattern: tuple[int, float, bool, bool] | None, *, width: float) -> torch.nn.Module:
    """The network with calibrated batch norm: at 224x224, where there are enough pixels for sound statistics."""
    model = nets.build(name, width=width)
    if pattern is not None:
        n, sparsity, rearrange, uniform = pattern
        nets.impose_1xn(model, n, sparsity, rearrange=rearrange, uniform=uniform)
        nets.calibrate_batchnorm(model, torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)))
    return model


def check(name: str, pattern, *, size: tuple[int, int], batch: int, width: float = 0.25, **options):
    x = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(2))
    report = sparsecc.compile(pruned(name, pattern, width=width), example_inputs=(x,), **options).report
    assert report.error is not None
    assert report.error <= LIMIT
    sparse = [layer for layer in report.plan.layers if layer.decision == "sparse"]
    assert bool(sparse) == (pattern is not None)
    return sparse


def over(names: Sequence[str]) -> pytest.MarkDecorator:
    """Networks with their places in a list; the heavy ones are slow tests."""
    marks = {name: pytest.mark.slow if name in HEAVY else () for name in names}
    params = [pytest.param(i, name, id=name, marks=marks[name]) for i, name in enumerate(names)]
    return pytest.mark.parametrize(("index", "name"), params)


@over(list(nets.NETS))
def test_pruned(index, name):
    """Over the networks every pattern, both batch sizes and two image sizes occur."""
    check(name, PATTERNS[index % len(PATTERNS)], size=SIZES[index % 2], batch=(1, 3)[index // 2 % 2])


@over(list(nets.NETS)[::5])
def test_dense(index, name):
    check(name, None, size=SIZES[(index + 1) % 2], batch=(1, 3)[index % 2])


@pytest.mark.parametrize("pattern", [*PATTERNS, (1, 0.9, False, False)], ids=str)
def test_pattern_is_found(pattern):
    """Full-width layers with enough channels run sparse in the N that they were pruned with."""
    n, sparsity, rearrange, uniform = pattern
    # single rows of weights pay on images that fill several vectors
    size = (225, 225) if n == 1 else (64, 64)
    x = torch.randn(1, 3, *size)
    # on so small images some layers would be faster dense, by Winograd's algorithm or with channels as the vector
    options = {"winograd": False, "min_speedup": 1e-9}
    plan = sparsecc.inspect(pruned("resnet18", pattern, width=1.0), example_inputs=(x,), **options)
    sparse = [layer for layer in plan.layers if layer.decision == "sparse"]
    whole = {layer.name: layer.removed.spec if layer.removed else layer.spec for layer in sparse}
    wide = [layer for layer in sparse if whole[layer.name].oc >= 128 and whole[layer.name].ic >= 128]
    assert len(wide) >= 10
    for layer in wide:
        assert layer.structure.block_n == n
        # a layer without channels that nobody needs is a little denser
        more = 0.01 if layer.removed else 0.0
        assert -0.02 <= layer.structure.density - (1 - sparsity) <= 0.02 + more
        if n > 1:
            assert layer.structure.aligned == (not rearrange)
        if uniform:
            assert layer.structure.uniform


@pytest.mark.slow
@pytest.mark.parametrize("name", list(nets.NETS))
@pytest.mark.parametrize(("size", "batch"), list(product(SIZES, (1, 3))), ids=str)
def test_matrix(name, size, batch):
    """Every network in every size: dense, and in one pattern that differs from cell to cell."""
    seed = list(nets.NETS).index(name) + 3 * SIZES.index(size) + batch
    for pattern in (None, PATTERNS[seed % len(PATTERNS)]):
        check(name, pattern, size=size, batch=batch)
