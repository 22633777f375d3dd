"""Rounding is told from errors: by float64, for the whole network and for every layer."""

from __future__ import annotations

from dataclasses import replace

import nets
import numpy as np
import pytest
import torch
from helpers import random_inputs
from torch import Tensor, nn

from sparsecc.errors import VerificationError
from sparsecc.importer import import_model
from sparsecc.options import Options
from sparsecc.pipeline import run
from sparsecc.runtime import load
from sparsecc.target import resolve
from sparsecc.verify import Verified, check, compare, first_difference
from sparsecc.verify.compare import Distances, distances
from sparsecc.verify.reference import exact, exact_intermediates, reference
from sparsecc.verify.run import linked

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def amplifying():
    """Pruned until channels are constant: batch norm divides by no variance, and PyTorch is no better than we are."""
    model = nets.build("mobilenet_v1", width=0.25)
    nets.impose_1xn(model, 1, 0.9)
    generator = torch.Generator().manual_seed(1)
    nets.calibrate_batchnorm(model, torch.randn(2, 3, 224, 224, generator=generator))
    x = torch.randn(1, 3, 64, 64, generator=generator)
    return run(model, (x,), resolve("native"), Options(), progress=str)


def checked(artefact, imported, folder) -> Verified:
    artefact.link(folder / "model.so")
    with load(folder / "model.so") as library:
        return check(library, artefact, imported, tolerance=TOLERANCE, cc=None)


def test_rounding_that_a_network_amplifies_is_a_note(amplifying, tmp_path):
    artefact, imported = amplifying
    found = checked(artefact, imported, tmp_path)
    assert found.error > TOLERANCE
    (single,), (double,) = reference(imported), exact(imported)
    own = distances(single, single, double).own
    assert own > TOLERANCE
    assert len(found.notes) == 1
    assert f"PyTorch's own by {own:.1e}: the network amplifies rounding errors" in found.notes[0]


def test_no_layer_is_blamed_for_rounding(amplifying):
    artefact, imported = amplifying
    found = first_difference(artefact, imported, tolerance=TOLERANCE, run=linked(imported, cc=None))
    assert "no single layer" in found


@pytest.mark.parametrize("position", [3, -3])
def test_errors_in_a_network_that_amplifies_rounding_are_found(position, amplifying, tmp_path):
    artefact, imported = amplifying
    step = [step for step in artefact.program.steps if "layer" in step.key][position]
    weights = list(artefact.program.weights)
    index = next(r.index for r in step.args if r.place == "weight" and weights[r.index].dtype == np.float32)
    weights[index] = weights[index] * np.float32(1.5)
    wrong = replace(artefact, program=replace(artefact.program, weights=tuple(weights)))
    with pytest.raises(VerificationError, match=f"first layer that differs is {step.key} .* please report it"):
        checked(wrong, imported, tmp_path)


def test_errors_beyond_rounding_of_a_network_that_amplifies_it(amplifying, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "ROUNDING", 0)
    with pytest.raises(VerificationError, match=r"the network itself amplifies rounding errors .* or winograd=False"):
        checked(*amplifying, tmp_path)


@pytest.mark.parametrize(
    ("ours", "own", "is_rounding", "is_amplified"),
    [(4e-4, 3.9e-4, True, True), (2e-4, 1e-4, True, True), (2.1e-4, 1e-4, False, True), (9e-4, 1e-4, False, False)],
)
def test_twice_as_far_as_pytorch_is_rounding(ours, own, is_rounding, is_amplified):
    found = Distances(ours, own)
    assert (found.is_rounding, found.is_amplified) == (is_rounding, is_amplified)


def test_distances_are_taken_where_float32_is_finite():
    single, double = np.array([np.inf, 1.0], np.float32), np.array([1e300, 1.125])
    assert distances(np.array([0.0, 1.0], np.float32), single, double) == Distances(1 / 9, 1 / 9)


class Constants(nn.Module):
    """Float32 in every form: a buffer, a tensor that is made in the graph, a number, a conversion."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.scale = nn.Linear(8, 8), nn.Buffer(torch.tensor(1 / 3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x) * self.scale + torch.tensor([0.1] * 8)
        y = y + torch.full((8,), 0.3, dtype=torch.float32) + torch.arange(8, dtype=torch.float32) / 7
        return torch.cat([y.to(torch.float32), torch.ones(3, 8)], 0).softmax(1, dtype=torch.float32)


def test_float64_whatever_the_constants():
    imported = import_model(Constants().eval(), random_inputs((3, 8)))
    (single,), (double,) = reference(imported), exact(imported)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    assert 0 < np.abs(single - double).max() < 1e-6
    last = list(exact_intermediates(imported).values())[-1]
    assert last.dtype == np.float64
    np.testing.assert_array_equal(last, double)


@torch.library.custom_op("sparsecc_tests::only_float32", mutates_args=())
def only_float32(x: Tensor) -> Tensor:
    """An operator of the user's, which is no more than the importer needs: it can be computed while compiling."""
    if x.dtype != torch.float32:
        raise TypeError("float32 only")
    return x * 2


@only_float32.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


class OnlyFloat32(nn.Module):
    """Its weight comes out of that operator."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(4))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, only_float32(self.weight)).relu()


def test_a_program_that_can_not_run_in_float64(tmp_path):
    artefact, imported = run(OnlyFloat32(), random_inputs((2, 4)), resolve("native"), Options(), progress=str)
    assert exact(imported) is None
    assert checked(artefact, imported, tmp_path).notes == ()
    weights = tuple(w * np.float32(1.5) if w.dtype == np.float32 else w for w in artefact.program.weights)
    wrong = replace(artefact, program=replace(artefact.program, weights=weights))
    with pytest.raises(VerificationError, match=r"first layer that differs is .*the model can't run in float64"):
        checked(wrong, imported, tmp_path)
