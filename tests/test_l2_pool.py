"""LPPool2d of order 2 as a kernel of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import compiled, kinds, random_inputs, run_strictly
from operator_cases.case import Function
from torch import nn
from torch.nn import functional

from sparsecc.importer import import_model
from sparsecc.ir.l2_pool import L2PoolLayer
from sparsecc.ir.layer import PoolLayer
from sparsecc.lower.table import KERNELS

POOLS = {
    "2x2": lambda: nn.LPPool2d(2, 2),
    "3x2_stride_1": lambda: nn.LPPool2d(2, (3, 2), 1),
    "3x3_stride_2": lambda: nn.LPPool2d(2.0, 3, 2, ceil_mode=True),
    "8x8_stride_1": lambda: nn.LPPool2d(2, 8, 1),
}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("shape", [(1, 5, 14, 17), (2, 3, 9, 8)])
def test_results_are_those_of_pytorch(pool, shape):
    model, (x,) = POOLS[pool]().eval(), random_inputs(shape)
    artefact = compiled(model, (x,))
    assert kinds(artefact).count("window") == 1
    (found,) = run_strictly(artefact, (x,))
    torch.testing.assert_close(torch.from_numpy(found), model(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("pool", POOLS)
def test_its_reference_is_right(pool):
    model, (x,) = POOLS[pool]().eval(), random_inputs((2, 3, 9, 8))
    imported = import_model(model, (x,))
    (layer,) = imported.layers.values()
    assert isinstance(layer, L2PoolLayer)
    found = KERNELS[layer.kernel].reference(layer, imported.module, [x.numpy()])
    np.testing.assert_allclose(found, model(x).numpy(), rtol=1e-6)


def test_between_layers():
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.LPPool2d(2, 2), nn.Conv2d(8, 4, 3, padding=1))
    artefact, x = compiled(model.eval(), random_inputs((1, 4, 12, 10))), random_inputs((1, 4, 12, 10))
    torch.testing.assert_close(torch.from_numpy(run_strictly(artefact, x)[0]), model(*x).detach(), rtol=1e-5, atol=1e-5)


def read_twice(x: torch.Tensor) -> torch.Tensor:
    """The same formula, with a value inside that is also read outside."""
    mean = functional.avg_pool2d(x.pow(2.0), 2)
    return (torch.sign(mean) * torch.relu(torch.abs(mean))).mul(4).pow(0.5) + mean


@pytest.mark.parametrize(
    "model",
    [
        read_twice,
        nn.LPPool2d(1, 2),
        nn.LPPool2d(3, 2),
        lambda x: functional.avg_pool2d(x**2, 2) ** 0.5,
    ],
)
def test_what_only_looks_like_it_stays_apart(model):
    case = Function(model)
    imported = import_model(case.eval(), random_inputs((1, 2, 6, 6)))
    assert [type(layer) for layer in imported.layers.values()] == [PoolLayer]
