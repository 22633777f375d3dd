"""A 1xN pattern on an unpruned model: which blocks go, which layers get it, and what can't have it."""

from __future__ import annotations

import json

import nets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nets import impose_1xn
from nets.patterns import prunable_layers as prunable_modules
from torch import nn
from torch.nn.utils import prune

import sparsecc
from sparsecc.analyse.impose import Impose, imposed
from sparsecc.cli import main
from sparsecc.errors import ModelError, UserError
from sparsecc.importer import import_model
from sparsecc.importer.impose import prunable_layers

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def some_net() -> nn.Sequential:
    """A stem, a convolution, a depthwise one, one with groups, a transposed one, two linear layers."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3), nn.Conv2d(24, 24, 3, groups=24),
        nn.Conv2d(24, 32, 1, groups=2), nn.ConvTranspose2d(32, 8, 2), nn.Flatten(), nn.Linear(72, 20),
        nn.Linear(20, 5),
    ).eval()  # fmt: skip


PRUNED = ["3", "5", "8"]


def zero_blocks(weight: np.ndarray, *, n: int, groups: int) -> np.ndarray:
    """Per block, by loops: whether all of its weights are zero."""
    oc, ic = weight.shape[:2]
    per_group = oc // groups
    found = []
    for group in range(groups):
        for start in range(0, per_group, n):
            rows = weight[group * per_group + start : group * per_group + min(start + n, per_group)]
            found += [not rows[:, channel].any() for channel in range(ic)]
    return np.array(found)


@given(
    st.integers(1, 3), st.integers(1, 20), st.integers(1, 9), st.sampled_from([(), (1, 1), (3, 2)]),
    st.integers(1, 24), st.floats(0, 1),
)  # fmt: skip
def test_the_blocks_of_least_norm_go_exactly_so_many(groups, per_group, ic, taps, n, sparsity):
    weight = np.random.default_rng(7).uniform(0.5, 1.5, (groups * per_group, ic, *taps)).astype(np.float32)
    found = imposed(weight, Impose(n, sparsity), groups=groups)
    pruned = zero_blocks(found, n=n, groups=groups)
    assert abs(pruned.sum() - sparsity * pruned.size) <= 0.5
    np.testing.assert_array_equal(found[found != 0], weight[found != 0])
    kept_norms, pruned_norms = [
        [norm for norm, gone in zip(norms_of(weight, n, groups), pruned, strict=True) if gone == wanted]
        for wanted in (False, True)
    ]
    assert max(pruned_norms, default=0) <= min(kept_norms, default=np.inf) * (1 + 1e-6)


def norms_of(weight: np.ndarray, n: int, groups: int) -> list[float]:
    oc, ic = weight.shape[:2]
    per_group = oc // groups
    return [
        float(np.abs(weight[g * per_group + s : g * per_group + min(s + n, per_group), c]).sum())
        / (min(s + n, per_group) - s)
        for g in range(groups)
        for s in range(0, per_group, n)
        for c in range(ic)
    ]


def test_a_pattern_is_that_of_the_examples():
    weight = torch.randn(48, 40, 3, 3)
    layer = nn.Conv2d(40, 48, 3)
    layer.weight.data = weight.clone()
    net = nn.Sequential(layer)
    impose_1xn(net, 8, 0.7, include=["0"])
    np.testing.assert_array_equal(imposed(weight.numpy(), Impose(8, 0.7)), net[0].weight.detach().numpy())


@pytest.mark.parametrize("form", ["module", "exported", "decomposed"])
def test_layers_that_get_it(form):
    net = some_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    model = net if form == "module" else torch.export.export(net, (X,))
    model = model.run_decompositions() if form == "decomposed" else model
    made = import_model(model, (X,), impose=Impose(4, 0.5))
    weights = {layer.name: layer for layer in made.layers.values()}
    zeros = {name for name, layer in weights.items() if zero_blocks(layer.weight, n=4, groups=layer.spec.groups).any()}
    assert zeros == set(PRUNED)
    assert [layer.name for layer in prunable_layers(made.program)] == PRUNED
    for name in PRUNED:
        assert zero_blocks(weights[name].weight, n=4, groups=weights[name].spec.groups).mean() == 0.5
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_layers_are_those_of_the_examples():
    net = some_net()
    made = import_model(net, (X,))
    assert [layer.name for layer in prunable_layers(made.program)] == prunable_modules(net)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet50", "squeezenet"])
def test_layers_are_those_that_pruners_take(name):
    model = nets.build(name, width=0.25).eval()
    with torch.no_grad():
        program = torch.export.export(model, (torch.randn(1, 3, 64, 64),))
    pruner = sparsecc.prune.OneByN(4, 0.5)
    pruner.apply(model)
    assert {layer.name for layer in prunable_layers(program.run_decompositions({}))} == set(pruner.sparsities())


def test_a_shared_weight_is_pruned_once():
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1))
    net[2].weight = net[1].weight
    made = import_model(net.eval(), (X,), impose=Impose(4, 0.75))
    assert [int((layer.weight == 0).sum()) for layer in made.layers.values()] == [0, 48, 48]


def test_compile_compares_with_the_imposed_model():
    compiled = sparsecc.compile(some_net(), example_inputs=(X,), impose=(4, 0.75))
    assert compiled.report.error <= 1e-5
    found = {layer.name: layer.structure for layer in compiled.plan.layers}
    assert [(found[name].block_n, found[name].density) for name in PRUNED[:2]] == [(4, 0.25)] * 2


@pytest.mark.parametrize(
    ("impose", "text"),
    [
        ((4, 1.5), "found sparsity 1.5, expected a share from 0 to 1"),
        ((4, float("nan")), "found sparsity nan"),
        ((0, 0.5), "found N = 0, expected a whole number"),
        ((4.0, 0.5), "found N = 4.0"),
        (4, "expected (N, sparsity)"),
        ("4:0.5", "expected (N, sparsity)"),
    ],
)
def test_wrong_patterns(impose, text):
    with pytest.raises(UserError) as error:
        sparsecc.inspect(some_net(), example_inputs=(X,), impose=impose)
    assert text in str(error.value)


def test_a_model_with_masks_is_pruned_already():
    net = some_net()
    prune.random_unstructured(net[3], "weight", 0.5)
    with pytest.raises(ModelError, match="layer 3: impose needs a plain weight"):
        sparsecc.inspect(net, example_inputs=(X,), impose=(4, 0.5))


def test_a_model_without_layers_to_prune():
    with pytest.raises(ModelError, match="found no layer to prune"):
        sparsecc.inspect(nn.Sequential(nn.Conv2d(3, 8, 1)).eval(), example_inputs=(X,), impose=(4, 0.5))


# --- command line ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("impose") / "model.pt2"
    torch.manual_seed(0)
    torch.export.save(torch.export.export(some_net(), (X,)), path)
    return path


def test_inspect_with_a_pattern(model, capsys):
    assert main(["inspect", str(model), "--impose", "4:0.75", "--target", "x86-64-v3", "--json"]) == 0
    layers = {layer["name"]: layer for layer in json.loads(capsys.readouterr().out)["plan"]["layers"]}
    assert layers["3"]["structure"]["density"] == 0.25
    assert layers["0"]["structure"]["density"] == 1.0


def test_bench_of_a_model_with_a_pattern(model, capsys):
    assert main(["bench", str(model), "--impose", "8:0.5", "--runs", "2", "--layers", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["impose"] == {"n": 8, "sparsity": 0.5}
    assert found["runs"] == 2
    assert {"3", "8"} <= {step["name"] for step in found["layers"]}


@pytest.mark.parametrize("text", ["4:1.5", "x", "4", "4:half", "0:0.5", ":", "4:0.5:1"])
def test_wrong_patterns_on_the_command_line(text, model, capsys):
    for command in ("inspect", "bench"):
        assert main([command, str(model), "--impose", text]) == 2
        assert "--impose: found" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["inspect", "bench"])
def test_a_library_takes_no_pattern(command, tmp_path, capsys):
    (tmp_path / "m.so").write_bytes(b"\x7fELF")
    assert main([command, str(tmp_path / "m.so"), "--impose", "4:0.5"]) == 2
    assert "compiled already" in capsys.readouterr().err


def test_a_model_does_not_run_elsewhere(model, capsys):
    assert main(["bench", str(model), "--runner", "ssh nobody@nowhere"]) == 2
    assert "compile the model to a folder first" in capsys.readouterr().err
