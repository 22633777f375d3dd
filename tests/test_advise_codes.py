"""Advice about codes of 8 bits: dense and pruned, beside float32, and of the pruned network that was given."""

from __future__ import annotations

import pytest
import torch
from advise_case import Net, X
from coded import CodedBranch, CodedConv, CodedLinear, through_codes
from torch import Tensor, nn

import sparsecc
from sparsecc.advice.codes import AtHand, why_unknown
from sparsecc.advice.network import Network
from sparsecc.advice.result import Advice
from sparsecc.advice.structures import structure_of
from sparsecc.analyse.impose import Impose
from sparsecc.lower.int8.price import coded_cycles
from sparsecc.options import Options
from sparsecc.pipeline import analyse, bring_in
from sparsecc.prune import OneByN
from sparsecc.target import TARGETS, resolve

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


VNNI = "x86-64-v4+vnni"


class Quantized(nn.Module):
    """A convolution and linear layers of codes; between the first and the last there are some that can be pruned."""

    def __init__(self, density: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.square = CodedConv(8, 64), CodedConv(64, 64, 3, padding=1, density=density)
        self.hidden, self.head = CodedLinear(64, 256, density=density), CodedLinear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = through_codes(self.stem(through_codes(x)).relu())
        x = through_codes(self.square(x).relu())
        return self.head(through_codes(self.hidden(through_codes(x.mean((2, 3))))))


def quantized(density: float = 1.0) -> torch.export.ExportedProgram:
    return torch.export.export(Quantized(density).eval(), (torch.zeros(1, 8, 14, 14),))


def test_layers_of_codes_are_decided_and_priced_by_their_own_cost_model() -> None:
    target, impose = resolve(VNNI), Impose(16, 0.75)
    found = {
        dtype: Network(bring_in(*made), target, Options(schedules=None))
        for dtype, made in {"int8": (quantized(), None), "float32": (plain(), (torch.zeros(1, 8, 14, 14),))}.items()
    }
    decided = {
        dtype: {layer.name: layer.decision for layer in network.planner.plan(impose).layers}
        for dtype, network in found.items()
    }
    # a linear layer of codes gains nothing by zeros, one of float32 does
    assert (decided["int8"]["hidden"], decided["float32"]["hidden"]) == ("dense", "sparse")
    assert decided["int8"]["square"] == "sparse"
    network = found["int8"]
    assert all(layer.tile is None for layer in network.planner.plan(impose).layers)
    spec = network.layers["square"][0].spec
    steps = {step.key: step for step in network.steps(impose)}
    step = steps[network.layers["square"][0].key]
    assert step.chosen == coded_cycles(spec, structure_of(spec, impose), target.for_codes())
    assert step.convolution == 0


def plain() -> nn.Module:
    layers = [nn.Conv2d(8, 64, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    net = nn.Sequential(*layers, nn.Flatten())
    net.add_module("hidden", nn.Linear(64, 256))
    net.add_module("head", nn.Linear(256, 10))
    return net.eval()


def test_a_quantized_network_has_times_of_codes_alone() -> None:
    found = sparsecc.advise(quantized(), VNNI, (16,), sparsities=(0.0, 0.5, 0.75))
    assert found.coded == ()
    assert "the network is quantized: times are those of layers of codes, float32 is not predicted" in found.notes
    assert not any("dense float32" in note for note in found.notes)
    layer = next(layer for layer in found.layers if layer.name == "square")
    (spec,) = (call.spec for call in Network(bring_in(quantized()), resolve(VNNI), Options()).layers["square"])
    cycles = coded_cycles(spec, None, resolve(VNNI).for_codes())
    assert layer.dense_us == pytest.approx(cycles / (1e3 * found.ghz))
    assert found.nets[0].us[-1] < found.nets[0].us[0]


def test_a_quantized_network_that_is_pruned_already_is_advised_and_costs_less() -> None:
    found = sparsecc.advise(quantized(0.25), VNNI, (4,), sparsities=(0.0, 0.75))
    assert not any("at hand" in note for note in found.notes)
    imported, target = bring_in(quantized(0.25)), resolve(VNNI)
    network, plan = Network(imported, target, Options()), analyse(bring_in(quantized(0.25)), target, Options())
    assert {step.key for step in network.steps_of(plan)} >= {layer.key for layer in plan.layers}
    assert any(layer.kept is not None for layer in plan.layers)
    assert sum(step.cycles for step in network.steps_of(plan)) < sum(step.cycles for step in network.steps(None))


def test_layers_of_all_kinds_and_targets_without_measured_figures() -> None:
    x = torch.zeros(1, 3, 16, 16)
    program = torch.export.export(CodedBranch().eval(), (x,))
    for name, rough in ((VNNI, False), ("rpi4", True), ("rpi5", True)):
        found = sparsecc.advise(program, name, (4,), sparsities=(0.0, 0.75))
        (note,) = [note for note in found.notes if "is quantized" in note]
        assert ("rough" in note) == rough
        assert 0 < found.nets[0].us[1] <= found.nets[0].us[0]
