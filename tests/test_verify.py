"""A wrong library is found out, and the layer that is wrong is named."""

from __future__ import annotations

from dataclasses import replace

import nets
import numpy as np
import pytest
import torch
from torch import nn

import sparsecc
from sparsecc.errors import VerificationError
from sparsecc.options import Options
from sparsecc.pipeline import run
from sparsecc.runtime import load
from sparsecc.target import resolve
from sparsecc.verify import check, first_difference
from sparsecc.verify.compare import relative_error
from sparsecc.verify.run import linked


@pytest.fixture(scope="module")
def compiled():
    model = nets.build("mobilenet_v3_small", width=0.25)
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return run(model, (x,), resolve("native"), Options(), progress=str)


def broken(artefact, key: str):
    """The artefact with one weight array of layer ``key`` changed."""
    index = next(
        ref.index
        for step in artefact.program.steps
        if step.key == key
        for ref in step.args
        if ref.place == "weight" and artefact.program.weights[ref.index].dtype == np.float32
    )
    weights = list(artefact.program.weights)
    weights[index] = weights[index] * np.float32(1.5)
    return replace(artefact, program=replace(artefact.program, weights=tuple(weights)))


def test_right_library_has_no_difference(compiled):
    artefact, imported = compiled
    assert "no single layer" in first_difference(artefact, imported, tolerance=1e-4, run=linked(imported, cc=None))
    assert len(artefact.origins) > 50


@pytest.mark.parametrize("position", [0, 5, 20, -1])
def test_first_wrong_layer_is_named(compiled, position, tmp_path):
    artefact, imported = compiled
    key = [layer.key for layer in artefact.report.plan.layers][position]
    wrong = broken(artefact, key)
    wrong.link(tmp_path / "wrong.so")
    with (
        load(tmp_path / "wrong.so") as library,
        pytest.raises(VerificationError, match=f"first layer that differs is {key} "),
    ):
        check(library, wrong, imported, tolerance=1e-4, cc=None)


def test_examples_may_lie_in_another_order_in_memory():
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 5)).eval()
    program = torch.export.export(model, (torch.zeros(1, 2, 3, 4),))
    x = torch.randn(1, 2, 4, 3, generator=torch.Generator().manual_seed(0)).transpose(2, 3)
    library = sparsecc.compile(program, example_inputs=(x,))
    np.testing.assert_allclose(library(x.numpy()), model(x).detach().numpy(), atol=1e-5)


def test_relative_error_compares_where_pytorch_is_finite():
    expected = np.array([np.nan, np.inf, 2.0], np.float32)
    assert relative_error(np.array([0.0, 0.0, 1.0], np.float32), expected) == 0.5
    assert relative_error(np.array([0.0, 0.0, np.nan], np.float32), expected) == float("inf")
    assert relative_error(np.zeros(1, np.float32), np.full(1, np.nan, np.float32)) == 0.0
    assert relative_error(np.ones(1, np.float32), np.zeros(1, np.float32)) == 1.0
