"""NaN, infinities and denormals: what PyTorch makes of them, on every target."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from boards import CORES, board, run, static_program
from generic_case import call, operator
from helpers import RUNNABLE, compiled, run_strictly
from operator_cases import Function
from special_values import special, special_input, wrong
from torch import nn

import sparsecc
from sparsecc._tvm import relax
from sparsecc.kernels.generic.traces import apply_trace, sample_traces
from sparsecc.rewrite.winograd import input_key
from sparsecc.target import TARGETS
from sparsecc.target.x86 import X86

EVERY = [pytest.param(False, id="some"), pytest.param(True, id="every", marks=pytest.mark.slow)]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("target", RUNNABLE)
def test_as_in_pytorch(target, every):
    """Also between pages that nobody may touch, with one thread and with three."""
    (model, exported), x = special(every=every), special_input()
    found = run_strictly(compiled(exported, target=target), (x,))
    assert wrong(model, x, np.concatenate([y.ravel() for y in found])) == {}


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=() if t in ("rpi2", "rpi3") else pytest.mark.slow) for t in CORES]
)
def test_as_in_pytorch_on_boards(target, every, tmp_path):
    """In an emulator of every board's core."""
    (model, exported), x = special(every=every), special_input()
    library = sparsecc.compile(exported, target)
    app = static_program(library, tmp_path)
    found = run([*board(target), str(app)], x, threads=2, shape=(-1,))
    assert wrong(model, x, found) == {}


@pytest.mark.parametrize("target", RUNNABLE)
def test_digits_near_zero_are_kept(target):
    """Of ``log1p``, ``expm1`` and ``tanh``: within four units in the last place, and 0 with its sign."""
    some = torch.randn(2000, generator=torch.Generator().manual_seed(0)) * torch.logspace(-30, 1.9, 2000)
    x = torch.cat([some, torch.linspace(-0.999, 3, 1000), torch.tensor([0.0, -0.0, -1.0, -0.99999994, 88.7, 3e38])])
    found = run_strictly(compiled(Function(lambda x: (x.log1p(), x.expm1(), x.tanh())), (x,), target=target), (x,))
    for y, compute in zip(found, (torch.log1p, torch.expm1, torch.tanh), strict=True):
        want = compute(x.double()).float().numpy()
        np.testing.assert_allclose(y, want, rtol=5e-7, atol=0)
        assert list(np.signbit(y[3000:3002])) == [False, True]


@pytest.mark.parametrize(("name", "reference"), [("max", np.max), ("min", np.min)])
def test_schedules_that_a_search_found(name, reference):
    """Of maxima and minima that Relax made."""
    x = special_input().numpy()[0, 0] * (1 if name == "max" else -1)
    function = operator(lambda x: getattr(relax.op, name)(x, [1]), [x.shape])
    llvm = TARGETS["x86-64-v3"].llvm
    fitting = 0
    for trace in sample_traces(function, llvm, count=8, seed=0):
        try:
            scheduled = apply_trace(function, trace)
        except ValueError:
            continue
        np.testing.assert_array_equal(call(scheduled, [x], llvm), reference(x, axis=1))
        fitting += 1
    assert fitting


def test_pruned_channels_keep_what_is_in_them():
    """Zeros are not multiplied: NaN and infinities reach only rows that keep a block of their channel."""
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 32, 1)
    conv.weight.data[:16, :4] = 0
    x = torch.randn(1, 8, 9, 9)
    x[0, 1], x[0, 2] = float("nan"), float("inf")
    with torch.no_grad():
        expected = conv(torch.where(torch.arange(8)[:, None, None] < 4, 0, x))[0, :16].numpy()
    (found,) = run_strictly(compiled(conv.eval(), (x,), min_speedup=1e-9), (x,))
    np.testing.assert_allclose(found[0, :16], expected, rtol=1e-5, atol=1e-5)
    assert np.isnan(found[0, 16:]).all()


def test_winograd_keeps_nan():
    """In all that depends on it, and in its tile."""
    torch.manual_seed(0)
    conv, x = nn.Conv2d(64, 64, 3, padding=1).eval(), torch.randn(1, 64, 40, 40)
    x[0, 3, 20, 20] = float("nan")
    artefact = compiled(conv, (x,))
    assert any(step.key == input_key("conv2d") for step in artefact.program.steps), artefact.program.steps
    (found,) = run_strictly(artefact, (x,))
    assert np.isnan(found[0, :, 19:22, 19:22]).all()
    far = np.ones((40, 40), bool)
    far[14:27, 14:27] = False
    assert np.isfinite(found[0][:, far]).all()


@pytest.mark.parametrize("target", X86)
def test_relu_is_one_instruction(target, tmp_path):
    model = nn.Sequential(nn.Conv2d(16, 32, 1), nn.ReLU()).eval()
    compiled(model, (torch.zeros(1, 16, 14, 14),), target=target, dump=tmp_path)
    assembly = (tmp_path / "14_build.s").read_text()
    assert re.search(r"\svmaxps\s", assembly)
    assert not re.search(r"\svcmp\w*ps\s", assembly)
