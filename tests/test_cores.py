"""Cores as data: whose numbers they have, that the cost model reads all of them, and what it chose before they were."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.cost.channel_lanes import lane_config, predict_lanes
from sparsecc.lower.cost.decide import work_of
from sparsecc.lower.cost.direct import DirectWork, predict
from sparsecc.lower.cost.direct_space import best_config, direct_space
from sparsecc.lower.cost.prefetch import prefetch_distance
from sparsecc.target import CORES, TARGETS, Core, Target
from sparsecc.target.native.known import KNOWN

_WORDS = ("name", "source")
#: channels out, in, kernel, pixels, N, kept blocks of a thousand -> configs on a Zen 3, 4 and 5, as before cores were
#: data
CHOSEN: dict[tuple[int, int, int, int, int, int], tuple[str, str, str]] = {
    (64, 32, 1, 112, 4, 250):
        ("4x3x8 rows_outer unroll_taps", "4x5x16 rows_outer unroll_taps", "4x5x16 rows_outer unroll_taps"),
    (128, 128, 1, 28, 16, 1000):
        ("4x3x8 unroll_taps packed", "4x4x16 unroll_taps packed", "4x5x16 unroll_taps"),
    (512, 512, 1, 14, 4, 250):
        ("4x3x8 unroll_taps packed", "4x5x16 unroll_taps packed", "4x5x16 unroll_taps packed singles 4"),
    (1024, 1024, 1, 7, 16, 500):
        ("4x2x8 unroll_taps packed", "16x1x16 rows_outer unroll_taps", "8x3x16 unroll_taps packed"),
    (256, 1024, 1, 14, 4, 100):
        ("4x3x8 unroll_taps packed", "4x5x16 rows_outer unroll_taps", "4x4x16 rows_outer unroll_taps singles 4"),
    (64, 64, 3, 56, 4, 500):
        ("4x3x8 rows_outer", "4x5x16 rows_outer unroll_taps", "4x5x16 rows_outer unroll_taps"),
    (256, 256, 3, 14, 16, 250):
        ("4x2x8 rows_outer unroll_taps", "16x1x16 rows_outer unroll_taps", "4x5x16 rows_outer unroll_taps"),
    (512, 512, 3, 7, 16, 1000):
        ("4x3x8", "16x1x16 rows_outer unroll_taps", "8x2x16 rows_outer unroll_taps"),
}  # fmt: skip


def spec_of(oc: int, ic: int, kernel: int, size: int) -> ConvSpec:
    return ConvSpec(n=1, ic=ic, ih=size, iw=size, oc=oc, kh=kernel, kw=kernel, padding=(kernel // 2,) * 4)


def layer(oc: int, ic: int, kernel: int, size: int, block_n: int, kept: int) -> DirectWork:
    rows = oc // block_n
    return work_of(spec_of(oc, ic, kernel, size), rows=rows, block_n=block_n, nnzb=rows * ic * kept // 1000)


def chosen(work: DirectWork, target: Target) -> str:
    c = best_config(work, target)
    flags = [name for name in ("rows_outer", "unroll_taps", "packed") if getattr(c, name)]
    knobs = [f"{name} {getattr(c, name)}" for name in ("singles", "chunks") if getattr(c, name) not in (0, 1)]
    return " ".join([f"{c.reg_n}x{c.vectors}x{c.lanes}", *flags, *knobs])


def known(processor: str, target: str) -> Target:
    """A target with a processor's shipped figures and core."""
    entry = KNOWN[processor]
    target_of = replace(TARGETS[target], core_model=entry.cores[target])
    return entry.figures[target].applied_to(target_of) if target in entry.figures else target_of


MEASURED = (
    known("AuthenticAMD-25-1", "x86-64-v3"),
    known("AuthenticAMD-25-17", "x86-64-v4"),
    known("AuthenticAMD-26-2", "x86-64-v4"),
)


@pytest.mark.parametrize("key", CHOSEN, ids=str)
def test_choices_are_those_before_cores_were_data(key: tuple[int, int, int, int, int, int]) -> None:
    work = layer(*key)
    assert tuple(chosen(work, target) for target in MEASURED) == CHOSEN[key]


def test_every_core_says_whose_numbers_it_has():
    """Measured ones, or exactly those of a measured core but for what code and vectors decide."""
    measured = {core.name for core in CORES.values() if core.source.startswith("measured on ")}
    assert measured == {"zen-3", "zen-4"}
    for core in CORES.values():
        origin = core.source.removeprefix("taken from ").split(",")[0]
        assert core.name in measured or origin in measured
        if core.name not in measured:
            differs = {f.name for f in fields(Core) if getattr(core, f.name) != getattr(CORES[origin], f.name)}
            by_code = {"weight_instructions", "weight_load_cycles", "spare_registers", "loops_over_taps"}
            by_code |= {"weights_by_lane", "register_per_weight", "double_pumped", "crowded_cycles", "moved_row_cycles"}
            assert ("issue_width" in differs) == ("the documented issue width" in core.source), core.name
            by_code |= {"issue_width"}
            assert differs <= by_code | set(_WORDS), core.name


def test_known_processors_cores_are_those_of_our_list():
    assert all(core is CORES[core.name] for entry in KNOWN.values() for core in entry.cores.values())
    assert all(set(entry.figures) <= set(entry.cores) for entry in KNOWN.values())


#: layers among which each of the numbers shows
_WORKS = (
    layer(64, 64, 1, 7, 16, 250),
    layer(64, 64, 1, 1, 16, 1000),
    layer(256, 1024, 1, 56, 4, 250),
    layer(64, 64, 3, 14, 16, 250),
    replace(layer(64, 256, 1, 28, 16, 1000), staged=True, widens=True, height=28),
)


def seen(target: Target) -> list[object]:
    """What the cost model says."""
    found: list[object] = [prefetch_distance(1 << 23, target, taps=9)]
    for work in _WORKS:
        found += [(config, predict(work, config, target)) for config in direct_space(work, target)]
    spec = spec_of(64, 64, 3, 14)
    config = lane_config(spec, block_n=target.lanes, target=target)
    return [*found, config and predict_lanes(spec, _WORKS[3], config, target)]


@pytest.mark.parametrize("name", [field.name for field in fields(Core) if field.name not in _WORDS])
def test_the_cost_model_reads_every_field(name: str) -> None:
    """And what it says follows from the fields, whatever the core is called."""
    target = MEASURED[-1]
    value = getattr(target.core_model, name)
    changed = not value if isinstance(value, bool) else 3 if name == "issue_width" else value + 2
    assert seen(target) != seen(replace(target, core_model=replace(target.core_model, **{name: changed})))


def test_the_cost_model_does_not_read_names():
    target = TARGETS["x86-64-v4"]
    assert seen(target) == seen(replace(target, core_model=replace(target.core_model, name="x", source="y")))
