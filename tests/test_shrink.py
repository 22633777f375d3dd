"""Channels that nobody needs go, exactly those, and the network computes the same."""

from __future__ import annotations

import nets
import numpy as np
import pytest
import torch
from graph_runner import run_graph
from helpers import agree, leaves, random_inputs
from shrink_case import CASES, Net, conv
from torch import nn
from torch.nn.utils import prune

import sparsecc
from sparsecc.advice.advise import advise
from sparsecc.analyse.plan import Plan
from sparsecc.importer import import_model
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer import convolutions
from sparsecc.options import Options
from sparsecc.pipeline import bring_in, extract, run
from sparsecc.rewrite.shrink import shrink
from sparsecc.rewrite.shrink.fold import sees_padding
from sparsecc.rewrite.shrink.merge import merged
from sparsecc.runtime import load
from sparsecc.target import resolve
from sparsecc.verify import first_difference
from sparsecc.verify.run import linked


def left(imported) -> dict[str, tuple[int, int]]:
    """Layer of a case -> input and output channels."""
    found = convolutions(imported.layers.values())
    return {layer.name.split(".")[1]: (layer.spec.ic, layer.spec.oc) for layer in found}


def difference(model: nn.Module, imported, *inputs: torch.Tensor) -> float:
    """Of a network by NumPy from PyTorch, relative to the largest result."""
    graph = (network := extract(imported)).graph
    values = run_graph(graph, network.module, [x.numpy() for x in inputs])
    with torch.no_grad():
        expected = [leaf.numpy() for leaf in leaves(model(*inputs))]
    found = [values[t] for t in graph.outputs]
    return max(
        float(np.abs(one - other).max()) / float(np.abs(other).max())
        for one, other in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("name", CASES)
def test_what_is_left_computes_the_same(name):
    case = CASES[name]
    model, (x,) = case.build(), random_inputs(case.shape)
    imported = bring_in(model, (x,))
    found = left(imported)
    assert {layer: found[layer] for layer in case.left} == case.left
    assert difference(model, imported, x) < 1e-5


@pytest.mark.parametrize("name", ["whole", "result", "softmax"])
def test_a_network_without_such_channels_stays_as_it_is(name):
    case = CASES[name]
    imported = import_model(case.build(), random_inputs(case.shape))
    assert shrink(imported) is imported


@pytest.mark.parametrize("name", ["borders of a depthwise layer", "shuffle", "excited"])
def test_libraries_agree_with_pytorch(name):
    case = CASES[name]
    agree(case.build(), case.shape)


@pytest.mark.parametrize("seed", range(4))
def test_random_filters_of_random_layers(seed):
    """All structures at once, any filters and any inputs of each layer."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model = nets.build("mobilenet_v3_small" if seed % 2 else "shufflenet_v2", width=0.25, seed=seed, classes=5)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.data
            weight[rng.random(weight.shape[0]) < rng.choice([0.0, 0.4])] = 0
            weight[:, rng.random(weight.shape[1]) < rng.choice([0.0, 0.3])] = 0
    (x,) = random_inputs((1, 3, 33, 32), seed=seed)
    imported = bring_in(model, (x,))
    assert imported.selections
    assert difference(model, imported, x) < 1e-4


def test_rows_of_blocks_stay_together():
    """Channels of a 1x4 pattern go by whole rows."""
    torch.manual_seed(0)
    model = Net({"a": conv(8, 16), "b": conv(16, 8)}, lambda m, x: m["b"](torch.relu(m["a"](x)))).eval()
    nets.impose_1xn(model, 4, 0.5, include=["parts.a"])
    model.parts["b"].weight.data[:, [0, 4, 5, 6, 7, 9]] = 0
    imported = bring_in(model, random_inputs((1, 8, 5, 5)))
    assert left(imported) == {"a": (8, 12), "b": (12, 8)}


def test_borders_as_sums_of_others():
    """Of images that differ in two ways two stay; the bias takes what is the same everywhere."""
    rng = np.random.default_rng(0)
    basis, shares = rng.random((2, 9)), rng.random((6, 2))
    images = (shares @ basis + rng.random((6, 1))).astype(np.float32)
    weight, bias = rng.random((3, 8, 1, 1)).astype(np.float32), np.zeros(3, np.float32)
    channels = np.arange(1, 7)
    made, shift = merged(weight, bias, channels, images, shifts=True)
    assert (made[:, channels, 0, 0] != 0).any(axis=0).sum() == 2
    expected = weight[:, channels, 0, 0] @ images
    assert np.allclose(made[:, channels, 0, 0] @ images + shift[:, None], expected, atol=1e-4)
    assert np.array_equal(made[:, [0, 7]], weight[:, [0, 7]])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (ConvSpec(1, 1, 8, 8, 1, 3, 3), False),
        (ConvSpec(1, 1, 8, 8, 1, 3, 3, padding=(0, 0, 1, 0)), True),
        (ConvSpec(1, 1, 8, 8, 1, 3, 3, padding=(0, 1, 0, 0)), True),
        (ConvSpec(1, 1, 8, 8, 1, 2, 2, stride=(2, 2), padding=(0, 0, 1, 1)), False),
        (ConvSpec(1, 1, 8, 8, 1, 1, 1, padding=(1, 1, 1, 1)), True),
    ],
    ids=str,
)
def test_who_sees_padding(spec, expected):
    assert sees_padding(spec) == expected


def pruned_pair() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    case = CASES["batch norm"]
    return case.build(), random_inputs(case.shape)


def test_plan_report_and_advice_say_what_is_gone():
    model, x = pruned_pair()
    plan = sparsecc.inspect(model, "x86-64-v3", example_inputs=x)
    b = plan.layers[1]
    assert (b.removed.constant, b.removed.unread, b.original.oc, b.spec.oc) == (6, 0, 8, 2)
    assert b.share == pytest.approx(b.spec.ic * 2 / 64, rel=0.5)
    assert plan.totals.dense_macs == sum(layer.original.macs for layer in plan.layers)
    assert "6c/8" in str(plan)
    line = "channels gone: 9 of 20, in 3 layers; 9 the same for every input, 0 read by nobody;"
    assert line in str(plan)
    assert Plan.from_json(plan.to_json()).layers[1].removed == b.removed
    advice = advise(model, "x86-64-v3", n=(4,), example_inputs=x)
    assert line in str(advice)
    assert "2x5x3x3 of 8x8x3x3" in str(advice)
    assert type(advice).from_json(advice.to_json()) == advice


def test_plans_of_whole_networks_say_nothing_of_it():
    case = CASES["whole"]
    plan = sparsecc.inspect(case.build(), "x86-64-v3", example_inputs=random_inputs(case.shape))
    assert "gone" not in str(plan)
    assert all("removed" not in layer for layer in plan.to_json()["layers"])


def test_an_imposed_pattern_is_no_reason_to_take_channels_out():
    """Unless the network has such channels anyway: what a pattern leaves unread would be read after training."""
    whole, (x,) = CASES["whole"].build(), random_inputs(CASES["whole"].shape)
    imposed = sparsecc.analyse.impose.Impose(4, 0.9)
    assert not bring_in(whole, (x,), impose=imposed).selections
    model, x = pruned_pair()
    assert bring_in(model, x, impose=imposed).selections


def test_a_wrong_layer_is_named_though_channels_are_gone(tmp_path):
    """Results of layers are held against those channels of PyTorch's that are left."""
    model, x = pruned_pair()
    artefact, imported = run(model, x, resolve("native"), Options(), progress=str)
    assert imported.selections
    found = first_difference(artefact, imported, tolerance=1e-4, run=linked(imported, cc=None))
    assert found.startswith("no single layer differs")
    model.parts["b"][1].bias.data += 1
    found = first_difference(
        artefact, import_model_with(imported, model, x), tolerance=1e-4, run=linked(imported, cc=None)
    )
    assert "parts_b_0" in found


def import_model_with(imported, model: nn.Module, x: tuple[torch.Tensor, ...]):
    """The same import, but for PyTorch's program."""
    from dataclasses import replace

    other = import_model(model, x)
    return replace(imported, program=other.program, original=other.original)


def structured(name: str, amount: float, *, dim: int, shift: bool, smallest: bool, width: float) -> nn.Module:
    """A network with filters (0) or input channels (1) pruned by PyTorch; random or smallest ones."""
    model = nets.build(name, width=width)
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not shift:
            module.bias.data.zero_()
            module.running_mean.zero_()
        if isinstance(module, nn.Conv2d) and (dim == 0 or module.groups == 1 < module.in_channels):
            if smallest:
                prune.ln_structured(module, "weight", amount=amount, n=2, dim=dim)
            else:
                prune.random_structured(module, "weight", amount=amount, dim=dim)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("smallest", [True, False], ids=["smallest", "random"])
@pytest.mark.parametrize("shift", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("amount", [0.3, 0.5])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121"])
def test_structured_pruning_of_whole_networks(name, amount, dim, shift, smallest):
    x = random_inputs((1, 3, 65, 64))
    model = structured(name, amount, dim=dim, shift=shift, smallest=smallest, width=0.5)
    report = sparsecc.compile(model, example_inputs=x).report
    assert report.error < 1e-4
    assert any(layer.removed for layer in report.plan.layers)


def test_structured_pruning_of_a_network():
    x = random_inputs((1, 3, 65, 64))
    model = structured("mobilenet_v2", 0.5, dim=0, shift=True, smallest=True, width=0.25)
    imported = bring_in(model, x)
    macs = [
        sum(layer.spec.macs for layer in convolutions(i.layers.values())) for i in (import_model(model, x), imported)
    ]
    assert macs[1] < 0.6 * macs[0]
    assert difference(model, imported, *x) < 1e-4


def test_threads_agree(tmp_path):
    model, x = pruned_pair()
    sparsecc.compile(model, example_inputs=x, threads=2).save(tmp_path / "m.so")
    with torch.no_grad():
        expected = model(*x).numpy()
    for threads in (1, 2):
        found = load(tmp_path / "m.so", threads=threads)(*(t.numpy() for t in x))
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
