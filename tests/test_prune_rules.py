"""Which layers are pruned, at which rates; what is refused, and that nothing is lost then; the report."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
import torch
from prune_case import PRUNED, net, optimizer_of, subp
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune

import sparsecc
from sparsecc import prune
from sparsecc.errors import ModelError, NotSupportedError, UserError


def test_stem_depthwise_and_classifier_stay_dense():
    pruner = prune.OneByN(4, 0.5)
    pruner.apply(net())
    assert pruner.sparsities() == dict.fromkeys(PRUNED, 0.5)
    notes = {layer.name: (layer.kind, layer.note) for layer in pruner.report().layers if layer.note}
    assert notes == {
        "0": ("conv", "stem: the first convolution"),
        "6": ("depthwise", "depthwise"),
        "14": ("linear", "classifier: the last linear layer"),
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layers": ["0", "14"]}, {"0": 0.5, "14": 0.5}),
        ({"layers": ["1*"]}, {"10": 0.5, "14": 0.5}),
        ({"exclude": ["8"]}, {"3": 0.5, "10": 0.5}),
        ({"layers": ["3", "8"], "exclude": ["8"]}, {"3": 0.5}),
        ({"rates": {"3": 0.75}}, {"3": 0.75, "8": 0.5, "10": 0.5}),
        ({"rates": {"8": 0.25, "*": 0.75}}, {"3": 0.75, "8": 0.25, "10": 0.75}),
        ({"rates": {"*": 0.75, "1?": 0.0}}, {"3": 0.75, "8": 0.75}),
    ],
)
def test_layers_and_rates(options, expected):
    pruner = prune.OneByN(2, 0.5, **options)
    pruner.apply(net())
    assert pruner.sparsities() == pytest.approx(expected)


def test_limits_of_layers():
    limits = {"3": 0.3, "8": 0.0}
    for pruner in (prune.OneByN(2, 0.5), prune.Darb(0.5), prune.Bmwm(4), prune.OneByN(2, 0.5, scope="global")):
        pruner.apply(net(), limits=limits)
        found = pruner.sparsities()
        assert set(found) == {"3", "10"}
        assert 0 <= found["3"] <= 0.3
        assert found["10"] > 0.3


def test_blocks_do_not_cross_groups():
    conv = nn.Conv2d(4, 12, 1, groups=2)
    with torch.no_grad():
        conv.weight[:6] *= 100
    prune.OneByN(4, 0.5, layers=["0"]).apply(nn.Sequential(conv))
    # rows of 4 and 2 in each group: the second group's are the weak half
    assert conv.parametrizations.weight[0].mask[:, :, 0, 0].all(1).tolist() == [True] * 6 + [False] * 6


@pytest.mark.parametrize("pruner", [prune.OneByN(5, 0.5, remainder="error"), subp(n=5, remainder="error", decay=0)])
def test_channels_that_do_not_divide(pruner):
    model = net()
    with pytest.raises(ModelError, match="layer 3: 32 output channels do not divide into blocks of 5; exclude it"):
        pruner.apply(model)
    assert model.state_dict().keys() == net().state_dict().keys()


MISTAKES = {
    "sparsity: found 1.0, expected a share of 0 or more and below 1": lambda: prune.OneByN(4, 1.0),
    "rate of '3': found -1": lambda: prune.OneByN(4, 0.5, rates={"3": -1}),
    "n: found 0, expected a whole number of 1 or more": lambda: prune.OneByN(0, 0.5),
    "n: found 4.0": lambda: prune.OneByN(4.0, 0.5),
    "norm: found 'l3', expected one of 'l1', 'l2'": lambda: prune.OneByN(4, 0.5, norm="l3"),
    "rearrange: found 'x'": lambda: prune.OneByN(4, 0.5, rearrange="x"),
    "scope: found 'x'": lambda: prune.Darb(0.5, scope="x"),
    "max_block: found 6, expected a power of two": lambda: prune.Darb(0.5, max_block=6),
    "block_size: found 0": lambda: prune.Bmwm(0),
    "unit: found 'x'": lambda: prune.Bmwm(2, unit="x"),
    "decay_end: found 0, expected a whole number of 1 or more": lambda: subp(decay_end=0),
    "schedule: found 'x'": lambda: subp(schedule="x"),
    "criterion: found 'x'": lambda: subp(criterion="x"),
    "temperature: found 0, expected a finite number above 0": lambda: subp(temperature=0),
    "found lower 0.9, upper 0.1, expected 0 <= lower <= upper <= 1": lambda: prune.Bounds(0.9, 0.1),
    "norms of shape \\(4,\\), expected": lambda: prune.group_channels(torch.ones(4), 2, 0.5),
    "layers: '33' fits none of the 6 layers that can be pruned; did you mean '3'": lambda: prune.OneByN(
        4, 0.5, layers=["33"]
    ).apply(net()),
    "exclude: 'x' fits none": lambda: prune.OneByN(4, 0.5, exclude=["x"]).apply(net()),
    "layers: found the text '3', expected a list": lambda: prune.OneByN(4, 0.5, layers="3").apply(net()),
    "rates: '14' fits none of the 3 layers": lambda: prune.OneByN(4, 0.5, rates={"14": 0.5}).apply(net()),
    "nothing to prune among the 1 layers": lambda: prune.OneByN(4, 0.5).apply(nn.Sequential(nn.Conv2d(3, 8, 1))),
    "decay is 0.0002, but there is no optimizer": lambda: subp().apply(net()),
    "step\\(\\) needs a model; call apply": lambda: subp().step(0),
    "finalize\\(\\) needs a model": lambda: prune.OneByN(4, 0.5).finalize(),
    "finalize\\(\\) after finalize\\(\\), which removed the masks": lambda: twice(),
    "step\\(\\) after finalize\\(\\).*make a new pruner": lambda: twice("step", 0),
    "finalize\\(\\) after epoch 2, but sparsity is reached at epoch 4": lambda: early(),
    "epoch: found -1": lambda: run(prune.OneByN(4, 0.5)).step(-1),
    "has a model already": lambda: run(prune.OneByN(4, 0.5)).apply(net()),
    "release: '0' is not among": lambda: run(prune.OneByN(4, 0.5)).release("0"),
    "expected that of": lambda: run(prune.OneByN(4, 0.5)).load_state_dict(run(prune.OneByN(8, 0.5)).state_dict()),
    "its mask was removed by somebody else": lambda: robbed(),
    "the advisor has no bounds for 3, 8, 10; add them": lambda: prune.Guided(prune.OneByN(4, 0.5), {}).apply(net()),
}


def run(pruner):
    pruner.apply(net())
    return pruner


def twice(call: str = "finalize", *arguments: int) -> None:
    pruner = run(prune.OneByN(4, 0.5))
    pruner.finalize()
    getattr(pruner, call)(*arguments)


def early():
    pruner = run(subp(decay=0))
    pruner.step(2)
    pruner.finalize()


def robbed():
    model = net()
    pruner = subp(decay=0)
    pruner.apply(model)
    prune.finalize(model)
    pruner.step(1)


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes(message):
    with pytest.raises(UserError, match=message):
        MISTAKES[message]()


def refused(change, layers=None):
    """The error for a changed network, which must stay as it is."""
    model = net()
    change(model)
    before = copy.copy(model.state_dict())
    with pytest.raises((ModelError, NotSupportedError)) as caught:
        prune.OneByN(4, 0.5, layers=layers).apply(model)
    assert model.state_dict().keys() == before.keys()
    return str(caught.value)


def test_layers_that_can_not_be_pruned():
    assert "layer 6: is depthwise, there is nothing to skip" in refused(nn.Module.train, ["3", "6"])
    assert "layer 3: has a mask already" in refused(prune.OneByN(4, 0.5, layers=["3"]).apply)
    other = lambda model: parametrizations.orthogonal(model[8])  # noqa: E731
    assert "layer 8: its weight is computed by _Orthogonal" in refused(other)
    hook = lambda model: torch_prune.l1_unstructured(model[10], "weight", 0.5)  # noqa: E731
    assert "layer 10: its weight is no parameter (torch.nn.utils.prune" in refused(hook)
    tied = lambda model: model.append(nn.Conv2d(32, 32, 1)) and setattr(model[15], "weight", model[8].weight)  # noqa: E731
    assert "layer 15: shares its weight with 8" in refused(tied)
    model = net().append(nn.LazyConv2d(32, 1))
    with pytest.raises(ModelError, match="layer 15: its weight has no shape yet; run the model once"):
        prune.OneByN(4, 0.5).apply(model)


def test_a_second_pruner_may_follow():
    model = net()
    run_one = prune.OneByN(4, 0.5)
    run_one.apply(model)
    run_one.finalize()
    second = prune.OneByN(4, 0.75)
    second.apply(model)
    assert set(second.sparsities().values()) == {0.75}


def test_a_released_layer_is_dense_and_stays_so():
    model = net()
    pruner = subp(decay=0)
    pruner.apply(model)
    pruner.step(4)
    pruner.release("8")
    pruner.step(5)
    assert pruner.sparsities() == {"3": 0.5, "8": 0.0, "10": 0.5}
    assert pruner.report().layers[3].pattern == "dense again"


def test_report_as_text_and_as_data():
    model = net()
    prune.OneByN(4, 0.75, rearrange=True, layers=["3"]).apply(model)
    found = prune.report(model)
    line = str(found).splitlines()[3].split()
    assert line[:6] == ["3", "conv", "32x16x3x3", "1x4,", "sorted", "75.0%"]
    assert "6 layers, 1 with masks" in str(found)
    data = json.loads(json.dumps(found.to_json()))
    assert data["layers"][1]["sparsity"] == 0.75
    assert data["layers"][1]["kept"] == 32 * 16 * 9 // 4
    assert data["sparsity"] == found.sparsity == pytest.approx(1 - found_kept(model))
    assert str(model[3]).count("Mask(1x4, sorted, hard)") == 1


def found_kept(model):
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return sum(int((w != 0).sum()) for w in weights) / sum(w.numel() for w in weights)


def test_report_of_a_layer_without_weights():
    model = nn.Sequential(nn.Linear(4, 4))
    nn.init.zeros_(model[0].weight)
    assert prune.report(model).layers[0].note == "all weights are zero"
    assert prune.report(nn.ReLU()).sparsity == 0.0


def test_weights_that_are_nan_are_pruned_to_zeros():
    model = nn.Sequential(nn.Linear(4, 4))
    pruner = prune.Bmwm(4, layers=["0"])
    pruner.apply(model)
    with torch.no_grad():
        model[0].parametrizations.weight.original.masked_fill_(~model[0].parametrizations.weight[0].mask, torch.nan)
    pruner.finalize()
    assert model[0].weight.count_nonzero() == 4


def test_the_package_imports_neither_torch_nor_the_compiler_by_itself():
    program = (
        "import sys, sparsecc; assert 'torch' not in sys.modules; sparsecc.prune.OneByN(4, 0.5); "
        "assert 'torch' in sys.modules and 'tvm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert "prune" in sparsecc.__all__


def test_optimizers_are_only_asked_for_where_they_are_needed():
    model = net()
    prune.OneByN(4, 0.5).apply(model, optimizer=optimizer_of(model))
    subp(decay=0).apply(net())
