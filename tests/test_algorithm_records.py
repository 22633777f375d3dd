"""Records of algorithms: which layers follow them, and what overrules them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from algorithm_case import TARGET, X, choice_of, log_of, measured, net, planned

from sparsecc.advice.network import Network
from sparsecc.analyse.impose import Impose
from sparsecc.importer import import_model
from sparsecc.lower.config import AlgorithmConfig
from sparsecc.options import Options
from sparsecc.target import resolve
from sparsecc.target.records.log import append, read_log
from sparsecc.target.records.lookup import Records


def test_options_overrule_records(tmp_path):
    log = log_of(tmp_path, AlgorithmConfig(4, sparse=True))
    assert planned(log) == ("sparse", 4, "record")
    assert planned(log, winograd=False)[1:] == (None, "cost model")
    assert planned(log, keep_dense=["conv"])[0] == "dense"
    assert planned(log, keep_dense=["conv"])[2] == "cost model"
    assert planned(log, min_speedup=1e9)[::2] == ("dense", "cost model")
    # of 16 output channels by 16 input channels half of the blocks are kept: 4 times the direct kernel's weights
    assert planned(log, max_growth=1.0)[1] is None


def test_an_imposed_pattern_has_records_of_its_own(tmp_path):
    """What was measured of the model's own blocks says nothing of others."""
    log = log_of(tmp_path, AlgorithmConfig(4, sparse=False))
    assert planned(log) == ("dense", 4, "record")
    assert planned(log, impose=(4, 0.75))[2] == "cost model"


@pytest.mark.parametrize("plausible", [True, False])
def test_a_record_of_another_processor_must_be_plausible(plausible):
    choice = choice_of(net())
    assert isinstance(choice.default, AlgorithmConfig)
    other = next(config for config in choice.space() if config != choice.default)
    assert isinstance(other, AlgorithmConfig)
    asked = replace(choice, predict=lambda config: 1.0 if config == choice.default or plausible else 2.0)
    records = Records((measured(choice.key, other, default=choice.default, cpu="another"),), cpu="this")
    chosen = records.choose(asked, threads=1)
    assert (chosen.config, chosen.why.by) == ((other, "record") if plausible else (choice.default, "cost model"))


def test_the_nearest_layer_decides(tmp_path):
    choice, path = choice_of(net()), tmp_path / "log.jsonl"
    assert isinstance(choice.default, AlgorithmConfig)
    other = min((c for c in choice.space() if c != choice.default), key=lambda c: choice.predict(c) or 0.0)
    assert isinstance(other, AlgorithmConfig)
    key = replace(choice.key, density=choice.key.density + 5)
    append(path, [measured(key, other, default=choice.default)])
    chosen = Records(tuple(read_log(path).records)).choose(replace(choice, predict=lambda config: 1.0), threads=1)
    assert (chosen.config, chosen.why.by) == (other, "nearest record")


def test_the_advisor_follows_records(tmp_path):
    target, impose = resolve(TARGET), Impose(8, 0.5)
    imported = import_model(net(pruned=False), (X,))

    def tile(records: Records) -> int | None:
        network = Network(imported, target, Options(), records=records)
        return next(layer.tile for layer in network.rewritten(impose).plan.layers if layer.name == "conv")

    key = choice_of(net(pruned=False)).key
    default = AlgorithmConfig(0, sparse=True)
    key = replace(key, block_n=8, density=50, pattern="uniform")
    found = {
        config.tile: tile(Records((measured(key, config, default=default),)))
        for config in (
            AlgorithmConfig(0, sparse=True),
            AlgorithmConfig(2, sparse=True),
            AlgorithmConfig(4, sparse=True),
        )
    }
    assert found == {0: None, 2: 2, 4: 4}


def test_a_record_keeps_its_words(tmp_path):
    path = log_of(tmp_path, AlgorithmConfig(4, sparse=True))
    [record] = read_log(path).records
    assert record.to_json()["config"] == {"kernel": "algorithm", "tile": 4, "sparse": True}
    assert record.config.label == "4x4 sparse"
    text = path.read_text()
    for wrong, said in (
        ('"tile":-1', "found -1, expected a number of things"),
        ('"tile":4,"side":1', "unknown knobs side"),
    ):
        path.write_text(text.replace('"tile":4', wrong, 1))
        assert said in read_log(path).problems[0]
    path.write_text(text.replace('"sparse":true', '"sparse":1', 1))
    assert "found 1, expected true or false" in read_log(path).problems[0]


def test_a_tile_that_this_version_does_not_know_is_not_used(tmp_path):
    assert planned(log_of(tmp_path, AlgorithmConfig(8, sparse=True)))[2] == "cost model"
