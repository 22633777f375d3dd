"""Figures of this machine: shipped, measured once and kept, or none with a reason."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from sparsecc.errors import ToolchainError
from sparsecc.target import CORES, TARGETS, resolve
from sparsecc.target.native import calibrate, cpu
from sparsecc.target.native.calibrate import cache_file, figures_here, resolve_here
from sparsecc.target.native.figures import Figures
from sparsecc.target.native.known import KNOWN
from sparsecc.target.native.measure import measure

V4 = TARGETS["x86-64-v4"]
SOME = Figures(1, 1, 48 << 10, 2 << 20, 24 << 20, 48.0, 20.0, 4.0, double_pumped=True)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def measured(monkeypatch):
    """Count measurements in the place of making them."""
    calls = []
    monkeypatch.setattr(calibrate, "measure", lambda target, cc=None: calls.append(target.name) or SOME)
    return calls


def test_a_known_processor_is_not_measured(measured, monkeypatch):
    monkeypatch.setattr(calibrate, "processor", lambda: "AuthenticAMD-25-17")
    figures, source = figures_here(V4)
    assert figures == KNOWN["AuthenticAMD-25-17"].figures["x86-64-v4"]
    assert source == "shipped for AMD EPYC 9004 (Zen 4)"
    assert not measured


def test_an_unknown_processor_is_measured_once(measured, monkeypatch):
    monkeypatch.setattr(calibrate, "processor", lambda: "GenuineIntel-6-999")
    assert figures_here(V4) == (SOME, "measured on this machine")
    assert figures_here(V4) == (SOME, "measured on this machine")
    assert measured == ["x86-64-v4"]
    assert Figures.from_json(json.loads(cache_file(V4, "GenuineIntel-6-999").read_text())) == SOME


def test_what_was_measured_here_comes_before_what_is_shipped(measured, monkeypatch):
    monkeypatch.setattr(calibrate, "processor", lambda: "AuthenticAMD-25-17")
    calibrate.calibrate(V4)
    assert figures_here(V4) == (SOME, "measured on this machine")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fma_per_cycle": 1}', json.dumps(asdict(SOME) | {"l2_bytes": -1})])
def test_a_broken_file_is_measured_again(text, measured, monkeypatch):
    monkeypatch.setattr(calibrate, "processor", lambda: "GenuineIntel-6-999")
    path = cache_file(V4, "GenuineIntel-6-999")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert figures_here(V4) == (SOME, "measured on this machine")
    assert measured


def test_a_cache_that_cannot_be_written_is_no_error(measured, monkeypatch, tmp_path):
    monkeypatch.setattr(calibrate, "processor", lambda: None)
    (tmp_path / "sparsecc").write_text("in the way")
    assert figures_here(V4)[0] == SOME


def test_no_compiler_leaves_the_targets_own_figures(monkeypatch):
    def fails(target, cc=None):
        raise ToolchainError("no C compiler")

    monkeypatch.setattr(calibrate, "measure", fails)
    monkeypatch.setattr(calibrate, "processor", lambda: None)
    figures, source = figures_here(V4)
    assert figures is None
    assert source == "typical of x86-64-v4; no C compiler"


def test_only_native_asks(measured, monkeypatch):
    monkeypatch.setattr(calibrate, "processor", lambda: None)
    assert resolve_here("x86-64-v3") == (TARGETS["x86-64-v3"], "")
    assert not measured
    native, source = resolve_here("native")
    assert native == SOME.applied_to(resolve("native"))
    assert source == "measured on this machine"


def test_measured_figures_are_plausible():
    found = measure(resolve("native"))
    assert 0.5 <= found.fma_per_cycle <= 4
    assert 0.5 <= found.loads_per_cycle <= 4
    assert found.memory_bandwidth < found.l2_bandwidth < 300
    assert found.l1_bytes < found.l2_bytes < found.l3_bytes


def test_a_known_processor_has_its_core(measured, monkeypatch):
    monkeypatch.setattr(calibrate, "resolve", lambda target: V4)
    monkeypatch.setattr(calibrate, "processor", lambda: "AuthenticAMD-26-2")
    assert resolve_here("native")[0].core_model == CORES["zen-5"]
    monkeypatch.setattr(calibrate, "processor", lambda: "GenuineIntel-6-999")
    for pumped in (True, False):
        monkeypatch.setattr(
            calibrate, "figures_here", lambda *args, cc, pumped=pumped: (replace(SOME, double_pumped=pumped), "")
        )
        assert resolve_here("native")[0].core_model == replace(CORES["any-avx512"], double_pumped=pumped)


def test_figures_must_be_positive_numbers():
    with pytest.raises(ValueError, match="l2_bytes: found 0, expected a positive number"):
        replace(SOME, l2_bytes=0)
    with pytest.raises(ValueError, match="double_pumped: found 1, expected true or false"):
        replace(SOME, double_pumped=1)


def test_processor_of_other_systems_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "none")
    assert cpu.processor() is None
    (tmp_path / "arm").write_text("processor : 0\nBogoMIPS : 108.00\n")
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "arm")
    assert cpu.processor() is None
