"""Advice about codes of 8 bits: dense and pruned, beside float32, and of the pruned network that was given."""

from __future__ import annotations

import pytest
import torch
from advise_case import Net, X
from torch import nn

import sparsecc
from sparsecc.advice.codes import AtHand, why_unknown
from sparsecc.advice.result import Advice
from sparsecc.prune import OneByN
from sparsecc.target import TARGETS

WIDE = torch.zeros(1, 128, 28, 28)


def wide() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(128, 128, 1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.ReLU()).eval()


@pytest.fixture(scope="module")
def advice() -> Advice:
    shares = (0.0, 0.5, 0.75, 0.9)
    return sparsecc.advise(wide(), "x86-64-v4+vnni", (4, 16), example_inputs=(WIDE,), sparsities=shares)


def test_codes_are_faster_and_gain_by_pruning(advice: Advice) -> None:
    for net, coded in zip(advice.nets, advice.coded, strict=True):
        assert coded.n == net.n
        assert all(int8 < float32 for int8, float32 in zip(coded.us, net.us, strict=True))
        assert coded.us[-1] < coded.us[0] / 2
        assert 0 <= coded.break_even < 0.75
        assert list(coded.us) == sorted(coded.us, reverse=True)


def test_it_is_said(advice: Advice) -> None:
    text = str(advice)
    assert "1x16 int8" in text
    assert "times as fast as dense float32" in text
    assert "float32 is faster than dense int8" in text
    assert "at hand" not in text
    assert Advice.from_json(advice.to_json()) == advice


def test_a_pruned_network_is_held_against_quantizing_alone() -> None:
    pruned = wide()
    OneByN(16, 0.5).apply(pruned)
    found = sparsecc.advise(pruned, "x86-64-v4+vnni", (16,), example_inputs=(WIDE,), sparsities=(0.0, 0.5))
    (line,) = [note for note in found.notes if "at hand" in note]
    assert "quantizing alone, unpruned, would be" in line
    assert "quantized as it is" in line
    assert "as fast as quantizing alone would be" in AtHand(100.0, 50.0).said(200.0)


def test_depthwise_and_linear_layers_have_times_too() -> None:
    found = sparsecc.advise(Net().eval(), "x86-64-v3", (8,), example_inputs=(X,), sparsities=(0.0, 0.75))
    assert 0 < found.coded[0].us[1] <= found.coded[0].us[0]


@pytest.mark.parametrize(("name", "said"), [("rpi4", "no instruction for them that is faster"), ("rpi5", "no figures")])
def test_targets_without_figures_say_so(name: str, said: str) -> None:
    assert said in why_unknown(TARGETS[name])
    found = sparsecc.advise(
        nn.Conv2d(8, 8, 1), name, (4,), example_inputs=(torch.zeros(1, 8, 8, 8),), sparsities=(0.0,)
    )
    assert found.coded == ()
    assert any("int8 is not predicted" in note for note in found.notes)
