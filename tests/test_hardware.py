"""What is published of ARM's cores: every figure with its source, and in agreement with our targets."""

from __future__ import annotations

from dataclasses import fields

import pytest

from sparsecc.target import CORES, TARGETS
from sparsecc.target.arm import ARM
from sparsecc.target.hardware import LINE_BYTES, Hardware
from sparsecc.target.hardware_arm import HARDWARE

NAMED = {name: target.core_model.name.removesuffix("-32") for name, target in ARM.items() if target.source}


@pytest.mark.parametrize("core", HARDWARE.values(), ids=lambda core: core.name)
def test_every_figure_has_a_source(core: Hardware) -> None:
    figures = {field.name for field in fields(Hardware)} - {"name", "sources"}
    assert set(core.sources) == figures
    assert all(core.sources.values())
    assert len(core.line_cycles) == len(core.caches)
    for cache in core.caches:
        assert cache.sets * cache.ways * LINE_BYTES == cache.nbytes
    assert sorted(cache.latency for cache in core.caches) == [cache.latency for cache in core.caches]


@pytest.mark.parametrize(("target", "core"), NAMED.items())
def test_targets_agree(target: str, core: str) -> None:
    """All that a target says of its core, but for boards whose caches are smaller than the core may have."""
    ours, found = TARGETS[target], HARDWARE[core]
    assert (ours.in_order, ours.fma_per_cycle, ours.loads_per_cycle) == (
        found.in_order, found.fma_per_cycle, found.loads_per_cycle,
    )  # fmt: skip
    assert (ours.l2_bytes, ours.l3_bytes) == (found.caches[1].nbytes, found.caches[-1].nbytes)
    assert CORES[core].issue_width == found.width
