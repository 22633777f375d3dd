"""make_plan: decisions with reasons, keep_dense, totals, JSON and the table."""

import json

import numpy as np
import pytest
from cases import BY_NAME, build

from sparsecc.analyse.plan import LayerInfo, Plan, make_plan
from sparsecc.errors import InternalError, UserError
from sparsecc.ir.blocks import to_blocks
from sparsecc.ir.conv import ConvSpec


def layer(name, spec, *, density=1.0, block_n=8):
    """A layer of 1xN blocks."""
    rng = np.random.default_rng(0)
    blocks = -(-spec.oc // block_n) * spec.ic_per_group
    kept = rng.permutation(blocks).reshape(-1, spec.ic_per_group) < round(density * blocks)
    mask = np.repeat(kept, block_n, axis=0)[: spec.oc, :, None, None]
    weight = (1 + rng.random(spec.weight_shape, np.float32)) * mask
    return LayerInfo(key=f"key_{name}", name=name, spec=spec, weight=weight.astype(np.float32))


CONV = ConvSpec(2, 64, 14, 14, 64, 3, 3, padding=(1, 1, 1, 1))
DEPTHWISE = ConvSpec(1, 64, 14, 14, 64, 3, 3, padding=(1, 1, 1, 1), groups=64)
LINEAR = ConvSpec(1, 128, 1, 1, 100)
NETWORK = [
    layer("features.0", ConvSpec(1, 3, 32, 32, 64, 3, 3, (2, 2), (1, 1, 1, 1))),
    layer("features.1.conv", CONV, density=0.25),
    layer("features.2.dw", DEPTHWISE),
    layer("features.3.conv", CONV, density=0.97),
    layer("features.4.zero", CONV, density=0.0),
    layer("features.5.conv", CONV, density=0.99, block_n=1),
    layer("classifier", LINEAR, density=0.5, block_n=4),
]


@pytest.fixture(scope="module")
def plan():
    return make_plan(NETWORK)


def by_name(plan):
    return {entry.name: entry for entry in plan.layers}


def test_decisions_and_reasons(plan):
    decided = {entry.name: (entry.kind, entry.decision, entry.reason) for entry in plan.layers}
    assert decided["features.0"] == ("conv", "dense", "no zero blocks")
    assert decided["features.1.conv"][:2] == ("conv", "sparse")
    assert decided["features.2.dw"] == (
        "depthwise",
        "dense",
        "depthwise: one input channel per output channel has nothing to skip",
    )
    assert decided["features.3.conv"] == ("conv", "dense", "predicted 1.03x of dense, below min_speedup 1.05")
    assert decided["features.4.zero"] == ("conv", "sparse", "all weights are zero: the output is the bias")
    assert decided["features.5.conv"][1:] == (
        "dense",
        "no zero blocks: 1 % of the weights are zero, but too scattered to skip",
    )
    assert decided["classifier"][:2] == ("linear", "sparse")
    assert [entry.key for entry in plan.layers] == [info.key for info in NETWORK]


def test_default_prediction_follows_the_kept_blocks(plan):
    entry = by_name(plan)["features.1.conv"]
    assert entry.predicted == pytest.approx(1 / entry.structure.density)
    assert entry.structure.block_n == 8


def test_min_speedup_moves_the_border():
    assert by_name(make_plan(NETWORK, min_speedup=1.0))["features.3.conv"].decision == "sparse"
    assert by_name(make_plan(NETWORK, min_speedup=50))["features.1.conv"].decision == "dense"


def test_given_speedup_decides():
    seen = []

    def slow(spec, structure):
        seen.append((spec, structure.block_n))
        return 0.93

    entries = by_name(make_plan(NETWORK, speedup=slow))
    assert entries["features.1.conv"].reason == "predicted 0.93x of dense, below min_speedup 1.05"
    assert entries["features.1.conv"].predicted == 0.93
    assert (CONV, 8) in seen
    assert all(spec != DEPTHWISE for spec, _ in seen)


def test_prediction_is_rounded_down_so_that_the_sentence_stays_true():
    plan = make_plan(NETWORK, speedup=lambda spec, structure: 1.0499)
    assert by_name(plan)["features.1.conv"].reason == "predicted 1.04x of dense, below min_speedup 1.05"
    assert "1.04x" in str(plan)
    assert "1.05x" not in str(plan)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_senseless_prediction_is_our_bug(value):
    with pytest.raises(InternalError, match="speed-up"):
        make_plan(NETWORK, speedup=lambda spec, structure: value)


@pytest.mark.parametrize(
    ("keep_dense", "dense"),
    [
        (["classifier"], {"classifier"}),
        ("classifier", {"classifier"}),
        (["*.conv"], {"features.1.conv", "features.3.conv", "features.5.conv"}),
        (["features.[14].*", "classifier"], {"features.1.conv", "features.4.zero", "classifier"}),
    ],
)
def test_keep_dense(keep_dense, dense):
    plan = make_plan(NETWORK, keep_dense=keep_dense)
    assert {e.name for e in plan.layers if e.reason == "kept dense by keep_dense="} == dense


def test_exact_name_wins_over_its_reading_as_a_pattern():
    layers = [layer("a[1]", CONV, density=0.5), layer("a1", CONV, density=0.5)]
    plan = make_plan(layers, keep_dense=["a[1]"])
    assert [entry.decision for entry in plan.layers] == ["dense", "sparse"]


def test_unknown_keep_dense_offers_the_nearest_names():
    with pytest.raises(UserError, match=r"no layer is called 'clasifier'.*did you mean 'classifier'"):
        make_plan(NETWORK, keep_dense=["clasifier"])
    with pytest.raises(UserError, match=r"'zzz\*'.*did you mean 'features.0'"):
        make_plan(NETWORK, keep_dense=["zzz*"])
    with pytest.raises(UserError, match="no conv or linear layer"):
        make_plan([], keep_dense=["x"])


def test_wrong_layers():
    with pytest.raises(InternalError, match="unique keys"):
        make_plan([NETWORK[0], NETWORK[0]])
    with pytest.raises(InternalError, match="weight of shape"):
        make_plan([LayerInfo("k", "n", LINEAR, NETWORK[0].weight)])


def test_totals_are_those_of_the_blocks(plan):
    kept_macs = kept_bytes = 0
    for info, entry in zip(NETWORK, plan.layers, strict=True):
        if entry.decision == "dense":
            kept_macs, kept_bytes = kept_macs + info.spec.macs, kept_bytes + info.weight.nbytes
            continue
        blocks = to_blocks(info.weight, groups=info.spec.groups, grouping=entry.structure.grouping)
        kept_macs += blocks.kept_macs(info.spec.n * info.spec.oh * info.spec.ow)
        kept_bytes += blocks.nbytes
    dense = sum(info.spec.macs for info in NETWORK), sum(info.weight.nbytes for info in NETWORK)
    assert plan.totals == (dense[0], kept_macs, dense[1], kept_bytes)
    assert kept_macs < dense[0]


def test_json_round_trip():
    names = ["rearranged", "groups_2_rearranged", "uniform", "all_zero", "depthwise", "dense"]
    layers = [LayerInfo(name, name, BY_NAME[name].spec, build(BY_NAME[name]).weight) for name in names]
    plan = make_plan(layers)
    text = json.dumps(plan.to_json(), allow_nan=False)
    again = Plan.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert str(again) == str(plan)
    assert again.layers[0].spec == plan.layers[0].spec
    assert again.layers[0].structure.grouping.dtype == np.int32


def test_table_shows_every_layer_and_reason(plan):
    text = str(plan)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 120
    for entry in plan.layers:
        assert any(line.startswith(entry.name) for line in lines)
        assert entry.decision == "sparse" or f"] {entry.reason}" in text
    assert "7 layers: 3 sparse, 4 dense" in lines
    assert " ".join(lines[2].split()) == "features.0 conv 64x3x3x3 16x16 - - - 442 k - dense [1]"


def test_table_cuts_long_names_and_big_numbers_to_120_columns():
    name = "backbone." * 20 + "conv"
    spec = ConvSpec(64, 4096, 1024, 1024, 2048, padding=(0, 0, 0, 0))
    info = layer(name, spec, density=0.5)
    info.weight[0, 0] = np.nan
    info.weight[1, 0] = 1e-40
    text = str(make_plan([info]))
    table = text.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 120
    assert table[2].startswith("backbone.")
    assert ".." in table[2]
    assert "NaN or Inf: 1" in text
    assert "nonzero: 1" in text


def test_empty_plan():
    assert "0 layers: 0 sparse, 0 dense" in str(make_plan([]))
