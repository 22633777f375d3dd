"""What a report says of where configs are from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sparsecc.analyse.plan import Plan
from sparsecc.ir.provenance import BY_MODEL, Provenance
from sparsecc.report import Report, make_report

RECORD = Provenance("record", "90 us on AuthenticAMD-25-1, 2026-11-21")
NEAR = Provenance("nearest record", "conv 1x64x14x14, a record of nobody")


@dataclass
class Made:
    """A node and its kernel, as far as a report looks at them."""

    key: str
    why: Provenance | None = None
    kind: str = "direct"
    config: dict[str, int] = field(default_factory=dict)
    cycles: float | None = None
    expected: float = 0.0
    joined: tuple[str, ...] = ()


@dataclass
class Decided:
    why: Provenance


def report() -> Report:
    steps = [Made("a", RECORD), Made("b", NEAR), Made("c", BY_MODEL), Made("d")]
    joins = {"a": Decided(BY_MODEL), "c": Decided(RECORD)}
    return make_report(Plan(()), [(step, step) for step in steps], "x86-64-v3", (), "", joins)


def test_provenance_is_data() -> None:
    """A layer that is called a record is none."""
    made = report()
    assert [step["chosen_by"] for step in made.steps] == ["record", "nearest record", "cost model", ""]
    assert [step["chosen_from"] for step in made.steps] == [RECORD.source, NEAR.source, "", ""]
    assert [step["joined_by"] for step in made.steps] == ["cost model", "", "record", ""]
    assert "configs from records of measurements: 2 of 4 kernel calls" in str(made)
    assert "joined with the next layer, or not, by records: 1 of 2 pairs" in str(made)
    assert Report.from_json(made.to_json()).steps == made.steps


def test_a_library_of_before_had_it_in_one_text() -> None:
    made = report()
    old: list[dict[str, Any]] = []
    for step in made.steps:
        one = {name: value for name, value in step.items() if not name.endswith("_from")}
        for what in ("chosen", "joined"):
            source = step[f"{what}_from"]
            one[f"{what}_by"] += f": {source}" if source else ""
        old.append(one)
    again = Report.from_json({**made.to_json(), "steps": old})
    assert again.steps == made.steps
    assert str(again) == str(made)
