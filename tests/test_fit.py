"""The cost model's constants, fitted to timings: by a core that only the test knows, kept, read back, and when."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cli_case import document
from test_machine import SOME

from sparsecc.cli import main
from sparsecc.errors import RunnerError, ToolchainError, UserError
from sparsecc.target import CORES, TARGETS, Core, Target
from sparsecc.target.native import calibrate
from sparsecc.target.native import constants as kept
from sparsecc.target.native.calibrate import is_known, resolve_here
from sparsecc.target.native.constants import FITTED, Constants, constants_file, keep_constants, kept_constants
from sparsecc.tuning.fit import fit as fitting
from sparsecc.tuning.fit import here
from sparsecc.tuning.fit.fit import Fit, fit
from sparsecc.tuning.fit.here import resolve_fitted
from sparsecc.tuning.fit.samples import LAYERS, samples
from sparsecc.tuning.fit.solve import Timings, solve
from sparsecc.tuning.fit.terms import COMPUTE, MEMORY, terms_of
from sparsecc.tuning.timing import Failure, Outcome, Timing

V4 = replace(TARGETS["x86-64-v4"], fma_per_cycle=2, loads_per_cycle=2)
VALUES = {name: getattr(CORES["zen-4"], name) for name in FITTED} | {"issue_width": 8.0}
FOUND = Constants(VALUES, 300)
UNKNOWN = "GenuineIntel-6-999"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "LAYERS", LAYERS[:2])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(here.VARIABLE, raising=False)


@pytest.fixture
def unknown(monkeypatch) -> Target:
    """This machine is one that nobody knows, with AVX-512."""
    for module in (calibrate, here):
        monkeypatch.setattr(module, "processor", lambda: UNKNOWN)
    monkeypatch.setattr(calibrate, "measure", lambda target, cc=None: SOME)
    monkeypatch.setattr(calibrate, "resolve", lambda target: TARGETS["x86-64-v4"])
    return TARGETS["x86-64-v4"]


def with_core(core: Core) -> Target:
    return replace(V4, core_model=core)


def cycles_of(pairs, target: Target) -> np.ndarray:
    return np.array([sample.cycles(config, target) for sample, config in pairs])


def chosen_here(count: int):
    """Some layers, and configs of each."""
    return [(s, config) for i, s in enumerate(samples(LAYERS[:count], V4)) for config in s.first(seed=i)]


def kernels_of(pairs):
    return [(sample.works[config.block_n], config.kernel) for sample, config in pairs]


@pytest.mark.parametrize("name", ["zen-3", "zen-4", "cortex-a53"])
def test_terms_say_what_the_model_says(name: str) -> None:
    pairs = chosen_here(4)
    core = replace(V4.core_model, **{field: getattr(CORES[name], field) for field in FITTED})
    constants = np.array([getattr(core, field) for field in (*COMPUTE, *MEMORY)])
    terms = terms_of(kernels_of(pairs), V4)
    found = terms.cycles(constants, issue_width=core.issue_width, set_factor=core.set_factor)
    np.testing.assert_allclose(found, cycles_of(pairs, with_core(core)), rtol=1e-9)


def test_a_hidden_core_is_found_by_its_timings() -> None:
    """Noise of 2 %, a tenth of the kernels disturbed: its best configs are chosen all the same."""
    hidden = replace(V4.core_model, block_cycles=4.0, tile_cycles=40.0, l2_line_cycles=12.0, copied_vector_cycles=1.0)
    pairs, rng = chosen_here(10), np.random.default_rng(0)
    times = cycles_of(pairs, with_core(hidden)) * rng.normal(1, 0.02, len(pairs))
    times[rng.random(len(pairs)) < 0.1] *= 1.5
    number = {id(sample): i for i, (sample, _) in enumerate(pairs)}
    layers = np.unique([number[id(sample)] for sample, _ in pairs], return_inverse=True)[1]
    constants = solve(Timings(terms_of(kernels_of(pairs), V4), times, layers)).constants
    fitted, ratios = with_core(replace(V4.core_model, **constants)), []
    for sample in dict.fromkeys(sample for sample, _ in pairs):
        truth = {config: sample.cycles(config, with_core(hidden)) for config in sample.space}
        ratios.append(truth[min(sample.space, key=lambda c: sample.cycles(c, fitted))] / min(truth.values()))
    assert np.mean(ratios) < 1.02
    assert max(ratios) < 1.2
    assert 2.5 < constants["block_cycles"] < 6


def timing(us: float, relative: float = 1.0) -> Timing:
    return Timing(us, us / relative, 0.0, 5, 0, 0.0, UNKNOWN, 4.0)


@pytest.fixture
def pretended(monkeypatch):
    """In the place of building and timing kernels: predictions for a hidden core; and how many at a time."""
    batches: list[int] = []

    def add(measured: Any, pairs: Any) -> None:
        batches.append(len(pairs))
        for i, config in pairs:
            measured.cycles[i, config] = measured.samples[i].cycles(config, with_core(CORES["zen-5"]))

    monkeypatch.setattr(fitting, "LAYERS", LAYERS[:12])
    monkeypatch.setattr(fitting.Measured, "batch", add)
    monkeypatch.setattr(fitting.Measured, "run", lambda self, tried: {0: timing(10.0), 1: timing(8.0, 0.8)})
    return batches


def test_a_fit(pretended) -> None:
    """What the first fit prefers is timed, too; where the search begins nothing of the target's core is left."""
    stages: list[str] = []
    found = fit(V4, seconds=600, progress=stages.append)
    code = {
        name: getattr(V4.core_model, name) for name in ("weight_instructions", "spare_registers", "moved_row_cycles")
    }
    code |= {"loops_over_taps": False, "double_pumped": True}
    again = fit(with_core(replace(CORES["zen-3"], **code)), seconds=600)
    assert found.constants == again.constants
    assert found.constants.values["prefetches_taps"] is True
    assert found.constants.timings == sum(pretended) / 2 >= 100
    assert found.regret < 1.01
    assert stages[0] == "build and time kernels"
    assert len(stages) >= 2
    assert CORES["zen-5"] != found.constants.applied_to(CORES["zen-5"])


def test_too_little_time(pretended) -> None:
    with pytest.raises(ToolchainError, match=r"found 0 timings after 0 s, expected 60 or more; grant more time"):
        fit(V4, seconds=0)


@pytest.mark.parametrize("outcome", [Failure("crash", "x"), None])
def test_kernels_that_do_not_run(outcome: Outcome | None, monkeypatch) -> None:
    monkeypatch.setattr(fitting.Measured, "run", lambda self, tried: {} if outcome is None else {0: outcome})
    with pytest.raises(ToolchainError, match="kernels can't be timed here"):
        fit(V4, seconds=60)


def test_a_runner_that_fails(monkeypatch) -> None:
    def fails(*args, **options):
        raise RunnerError("runner: no")

    monkeypatch.setattr(fitting, "write_candidates", fails)
    with pytest.raises(ToolchainError, match="fitting the cost model: runner: no; name a target"):
        fit(V4, seconds=60)


def test_real_kernels_are_timed(monkeypatch) -> None:
    """Some, for the best target that this machine runs."""
    monkeypatch.undo()  # a linker with an empty cache of its own takes a minute
    monkeypatch.setattr(fitting, "LAYERS", LAYERS[:1])
    target, _ = resolve_here("native")
    measured = fitting.Measured(target, deadline=1e12, cc=None)
    sample = measured.samples[0]
    wanted = [(0, config) for config in sample.first(seed=0)[:3]]
    assert measured.add(wanted)
    assert all(cycles > 1000 for cycles in measured.cycles.values())
    assert list(measured.cycles) == wanted
    assert not measured.add(wanted)


def test_constants_are_kept(unknown) -> None:
    assert resolve_here("native")[0].core_model == replace(CORES["any-avx512"], double_pumped=SOME.double_pumped)
    assert not is_known(unknown)
    keep_constants(FOUND, unknown, UNKNOWN)
    assert kept_constants(unknown, UNKNOWN) == FOUND
    assert is_known(unknown)
    native, source = resolve_here("native")
    assert source == "measured on this machine; core fitted to timings here"
    assert native.core_model.issue_width == 8
    assert native.core_model.source == "fitted to 300 timings of kernels on this machine"


@pytest.mark.parametrize(
    "change",
    [
        "{", "[]", {"version": 2}, {"version": True}, {"timings": 0}, {"timings": True}, {"constants": []},
        {"constants": {}}, {"constants": VALUES | {"more": 1}}, {"constants": VALUES | {"issue_width": 0}},
        {"constants": VALUES | {"tile_cycles": 1e5}}, {"constants": VALUES | {"tile_cycles": "1"}},
        {"constants": VALUES | {"prefetches_taps": 1}}, {"constants": VALUES | {"reread_share": -1}},
    ],
)  # fmt: skip
def test_kept_constants_of_no_use(change: Any, unknown) -> None:
    keep_constants(FOUND, unknown, UNKNOWN)
    path = constants_file(unknown, UNKNOWN)
    whole = json.loads(path.read_text())
    path.write_text(change if isinstance(change, str) else json.dumps(whole | change))
    assert kept_constants(unknown, UNKNOWN) is None
    assert not is_known(unknown)


def test_a_cache_that_cannot_be_written_is_no_error(unknown, tmp_path) -> None:
    (tmp_path / "sparsecc").write_text("in the way")
    keep_constants(FOUND, unknown, UNKNOWN)
    assert kept_constants(unknown, UNKNOWN) is None


def pretend_to_fit(monkeypatch) -> list[float]:
    asked: list[float] = []

    def found(target, *, seconds, cc=None, progress=None):
        asked.append(seconds)
        return Fit(FOUND, 1.0, 1.0)

    monkeypatch.setattr(here, "fit", found)
    return asked


def test_an_unknown_core_is_fitted_once_if_time_is_granted(unknown, monkeypatch) -> None:
    asked = pretend_to_fit(monkeypatch)
    resolve_fitted("native")
    assert asked == []
    monkeypatch.setenv(here.VARIABLE, "60")
    for _ in range(2):
        native, source = resolve_fitted("native")
        assert native.core_model.issue_width == 8
        assert source.endswith("; core fitted to timings here")
    assert asked == [60.0]


def test_a_known_core_is_not_fitted_unasked(unknown, monkeypatch) -> None:
    asked = pretend_to_fit(monkeypatch)
    monkeypatch.setenv(here.VARIABLE, "60")
    monkeypatch.setattr(calibrate, "processor", lambda: "AuthenticAMD-26-2")
    assert resolve_fitted("native")[0].core_model == CORES["zen-5"]
    assert asked == []


def test_a_fit_that_fails_leaves_the_targets_core(unknown, monkeypatch) -> None:
    def fails(*args, **options):
        raise ToolchainError("no C compiler")

    monkeypatch.setattr(here, "fit", fails)
    monkeypatch.setenv(here.VARIABLE, "60")
    native, source = resolve_fitted("native")
    assert native.core_model.name == "any-avx512"
    assert source == "measured on this machine; core any-avx512 (no C compiler)"


@pytest.mark.parametrize("text", ["a minute", "-1", "nan", "1e9"])
def test_granted_time_is_a_number_of_seconds(text: str, monkeypatch) -> None:
    monkeypatch.setenv(here.VARIABLE, text)
    with pytest.raises(UserError, match=rf"SPARSECC_FIT_SECONDS: found '{text}', expected seconds from 0 to 3600"):
        resolve_fitted("native")


def test_the_command(unknown, monkeypatch, capsys) -> None:
    asked = pretend_to_fit(monkeypatch)
    monkeypatch.setattr("sparsecc.target.native.calibrate.keep_clock", lambda target: 4.0)
    assert main(["targets", "--measure", "--seconds", "30"]) == 0
    said = capsys.readouterr().out
    assert "measured for native: fma_per_cycle 1, " in said
    assert "fitted for native to 300 timings, 1 s: issue_width 8, block_cycles 1.3" in said
    found = document(capsys, "targets", "--measure")
    assert found["constants"] == VALUES
    assert document(capsys, "targets", "--measure", "--seconds", "0")["constants"] is None
    assert asked == [30, 60]
    assert kept.kept_constants(unknown, UNKNOWN) == FOUND


def test_the_command_without_the_compiler(unknown, monkeypatch, capsys) -> None:
    """Figures are measured all the same."""
    monkeypatch.setattr("sparsecc.target.native.calibrate.keep_clock", lambda target: 4.0)
    monkeypatch.setitem(sys.modules, "sparsecc.tuning.fit.here", None)
    assert main(["targets", "--measure"]) == 0
    said = capsys.readouterr().out
    assert "measured for native: fma_per_cycle 1, " in said
    assert "not fitted to this machine's core: " in said
