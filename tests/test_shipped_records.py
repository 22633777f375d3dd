"""Records that come with sparsecc: each is of a kernel that a compilation of the benchmark's networks uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from shipped_case import NETWORKS, PATTERNS, all_asked

from sparsecc.ir.layer_key import LayerKey
from sparsecc.lower.choice import Choice
from sparsecc.target import resolve
from sparsecc.target.records.lookup import shipped

FILES = sorted(path.stem for path in (Path(__file__).parents[1] / "schedules").glob("*.jsonl"))


def illegal(target: str, used: dict[LayerKey, Choice]) -> list[str]:
    """Records of used kernels whose configs, or the cost model's then, these can't have."""
    return [
        str(record.layer)
        for record in shipped(resolve(target)).best
        if record.layer in used
        and not all(used[record.layer].verdict(config).is_legal for config in (record.config, record.default))
    ]


def test_records_of_one_network():
    target = resolve("x86-64-v4")
    records = shipped(target)
    used = all_asked(target, records, [("mobilenet_v1", 0, 0.0)])
    assert illegal("x86-64-v4", used) == []
    own = [record.layer for record in records.best if record.layer in used]
    assert len(own) >= 17
    # small images are written where they are read, and records know it
    assert {key.kind for key in own if key.in_place} == {"join", "window"}


@pytest.mark.slow
@pytest.mark.parametrize("target", FILES)
def test_every_record_is_used(target):
    records = shipped(resolve(target))
    cells = [(name, *pattern) for name in NETWORKS for pattern in PATTERNS]
    used = all_asked(resolve(target), records, cells)
    assert [str(record.layer) for record in records.best if record.layer not in used] == []
    assert illegal(target, used) == []
