"""From cycles to microseconds: records of this processor, and its clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from advise_case import TARGET
from nets import impose_1xn
from torch import nn

import sparsecc
from sparsecc import pipeline
from sparsecc.analyse.structure import find_structure
from sparsecc.errors import SparseccError, UserError
from sparsecc.importer import import_model
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.layer_key import LayerKey
from sparsecc.kernels.chain import ChainConfig
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.kernels.window_shape import WindowConfig
from sparsecc.lower.config import ConvConfig, JoinedConfig
from sparsecc.options import Options
from sparsecc.pipeline import analyse
from sparsecc.target import TARGETS, resolve
from sparsecc.target.native import calibrate
from sparsecc.target.native.measure import measure_clock
from sparsecc.target.records.record import Record
from sparsecc.target.records.scale import Scale, scale_of, shipped_scale, slower_than_predicted


def record(n: int, us: float, *, cpu: str = "here") -> Record:
    spec = ConvSpec(n=1, ic=64, ih=14, iw=14, oc=64)
    key = LayerKey(
        kind="conv", spec=spec, block_n=n, density=25 if n else 100, pattern="ragged" if n else "dense",
        scattered=False, epilogue="bias", pitch=(14, 14),
    )  # fmt: skip
    config = ConvConfig(n or 4, DirectConfig(8, 2, 4, rows_outer=True, unroll_taps=True))
    return Record(key, TARGET.name, (), 1, config, us, 0.0, config, us, 9, 1, cpu, "2026-01-01", {})


def test_records_of_this_processor_scale_cycles():
    records = [*(record(0, 20.0) for _ in range(8)), *(record(4, 10.0) for _ in range(8)), record(16, 1e6)]
    records += [record(4, 1e6, cpu="elsewhere")] * 8
    scale = scale_of(records, TARGET, ghz=2.0, cpu="here", source="clock")
    assert set(scale.factors) == {0, 4}  # one record says nothing
    assert scale.factor(8) == scale.factor(4)
    assert scale.source == "clock; 16 records of this processor"
    twice = scale_of([replace(r, us=2 * r.us) for r in records], TARGET, ghz=2.0, cpu="here", source="")
    assert twice.factor(4) == pytest.approx(2 * scale.factor(4))
    assert scale_of(records, TARGET, ghz=2.0, cpu="other", source="clock") == Scale(2.0, {}, "clock")
    # what was measured is what is predicted then, whatever the clock
    fast = scale_of(records, TARGET, ghz=4.0, cpu="here", source="")
    assert fast.us(convolution=1e3, block_n=4) == pytest.approx(scale.us(convolution=1e3, block_n=4))
    assert fast.us(convolution=0.0, rest=4e3) == 1.0


def test_the_choice_between_sparse_and_dense_is_corrected_by_records():
    spec, weight = ConvSpec(1, 64, 28, 28, 64), np.ones((64, 64, 1, 1), np.float32)
    weight[:, ::2] = 0
    found = replace(find_structure(weight), block_n=4)
    scale = Scale(1.0, {0: 0.5, 4: 1.0})
    assert slower_than_predicted(scale, spec, found) == 2.0
    unmeasured = [(Scale(1.0), spec), (Scale(1.0, {4: 2.0}), spec), (scale, ConvSpec(1, 64, 1, 1, 64))]
    assert [slower_than_predicted(known, each, found) for known, each in unmeasured] == [1.0] * 3
    assert slower_than_predicted(scale, spec, replace(found, by_tap=True)) == 1.0


def test_shipped_records_decide_with_the_cost_model(monkeypatch):
    """At 15 % a block of 4 gains by the cost model alone, but not where records say that such blocks are slower."""
    monkeypatch.setattr(pipeline, "shipped_scale", lambda target, *, cpu: Scale(target.ghz, {0: 1.0, 4: 1.22}))
    model = nn.Sequential(nn.Conv2d(256, 256, 3, padding=1))
    impose_1xn(model, 4, 0.15, include=["0"])
    imported = import_model(model.eval(), (torch.zeros(1, 256, 14, 14),))
    by_model, by_records = (
        analyse(imported, TARGET, Options(winograd=False, schedules=which)).layers[0] for which in (None, "shipped")
    )
    assert by_records.predicted == pytest.approx(by_model.predicted / 1.22)
    assert (by_model.decision, by_records.decision) == ("sparse", "dense")


def test_records_of_another_processor_say_nothing_of_this_one():
    """A named target has those of all; a processor has its own, and one that nobody has measured none."""
    everybody, own = shipped_scale(TARGET), shipped_scale(TARGET, cpu="AuthenticAMD-25-1")
    assert everybody.factors
    assert own.factors
    assert shipped_scale(TARGET, cpu="GenuineIntel-6-151") == Scale(TARGET.ghz)
    assert shipped_scale(TARGET, cpu="") == Scale(TARGET.ghz)


class AskedError(SparseccError):
    """How the test below stops where records of a processor are asked for: errors of sparsecc pass all stages."""


@pytest.mark.parametrize("target", ["native", TARGET.name])
@pytest.mark.parametrize("function", ["compile", "inspect", "tune", "advise"])
def test_all_ask_for_records_of_the_processor_that_they_compile_for(function, target, tmp_path, monkeypatch):
    def asked(target, *, cpu):
        raise AskedError(cpu)

    monkeypatch.setattr(pipeline, "shipped_scale", asked)
    monkeypatch.setattr("sparsecc.target.native.cpu.processor", lambda: "GenuineIntel-6-151")
    options = {"log": tmp_path / "log.jsonl"} if function == "tune" else {}
    with pytest.raises(AskedError) as caught:
        getattr(sparsecc, function)(
            nn.Sequential(nn.Conv2d(4, 4, 1)).eval(), target, example_inputs=(torch.zeros(1, 4, 5, 5),), **options
        )
    assert caught.value.args == ("GenuineIntel-6-151" if target == "native" else None,)


def test_inspect_decides_with_the_records_that_a_compilation_has(monkeypatch, tmp_path):
    """With ``schedules=None`` the cost model is believed, there as here."""
    monkeypatch.setattr(pipeline, "shipped_scale", lambda target, *, cpu: Scale(target.ghz, {0: 1.0, 4: 1.22}))
    model = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1))
    impose_1xn(model, 4, 0.5, include=["0"])
    given = {"example_inputs": (torch.zeros(1, 64, 14, 14),), "winograd": False}
    plans = {
        which: sparsecc.inspect(model.eval(), TARGET.name, schedules=which, **given) for which in (None, "shipped")
    }
    compiled = sparsecc.compile(model, TARGET.name, schedules=None, verify=False, **given).plan
    assert str(plans[None]) == str(compiled)
    assert plans["shipped"].layers[0].predicted == pytest.approx(plans[None].layers[0].predicted / 1.22)
    with pytest.raises(UserError, match=r"records: can't read .*none\.jsonl"):
        sparsecc.inspect(model, TARGET.name, schedules=tmp_path / "none.jsonl", **given)


def test_shipped_records_agree_with_the_cost_model():
    """Of sparse and of dense layers it is wrong by about the same factor: what it compares, it compares rightly."""
    factors = shipped_scale(TARGET).factors
    assert {0, 4, 16} <= set(factors)
    assert all(factor == pytest.approx(factors[0], rel=0.1) for factor in factors.values())


def test_records_of_chains_scale_window_kernels():
    def chain(us: float) -> Record:
        spec, window = ConvSpec(1, 64, 28, 28, 64), ConvSpec(1, 64, 28, 28, 64, 3, 3, padding=(1, 1, 1, 1), groups=64)
        key = LayerKey(
            kind="chain", spec=spec, block_n=4, density=25, pattern="ragged", scattered=False, epilogue="bias, bias",
            pitch=(29, 28), window=window, combine="weighted",
        )  # fmt: skip
        conv = DirectConfig(8, 2, 4, rows_outer=True, unroll_taps=True)
        config = JoinedConfig(4, ChainConfig(conv, WindowConfig(8, 1, 4)))
        return Record(key, TARGET.name, (), 1, config, us, 0.0, config, us, 9, 1, "here", "2026-01-01", {})

    alone = [record(4, 10.0) for _ in range(8)]
    found = [
        scale_of([*alone, *(chain(us) for _ in range(8))], TARGET, ghz=2.0, cpu="here", source="") for us in (200, 400)
    ]
    assert found[0].factors == found[1].factors
    assert found[1].windows > found[0].windows > 0.5
    assert scale_of([*alone, chain(1e6)], TARGET, ghz=2.0, cpu="here", source="").windows == 1.0  # one says nothing


def test_the_clock_is_measured_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []
    monkeypatch.setattr(calibrate, "measure_clock", lambda target, cc=None: calls.append(target) or 3.21)
    assert calibrate.clock_here(TARGET) == calibrate.clock_here(TARGET) == (3.21, "measured on this machine")
    assert calls == [TARGET]


def test_a_measured_clock_is_plausible():
    assert 0.3 < measure_clock(resolve("native")) < 8


def test_a_clock_that_cannot_be_measured_is_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "sparsecc").mkdir()
    calibrate.clock_file(calibrate.processor()).write_text('{"ghz": -1}')
    assert calibrate.clock_here(TARGETS["rpi4"]) == (1.8, "usual for rpi4")
