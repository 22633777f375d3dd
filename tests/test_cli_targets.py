"""``sparsecc targets``: processors, and which of them is here."""

from __future__ import annotations

import re
from dataclasses import asdict

from cli_case import document

from sparsecc.cli import main
from sparsecc.target import TARGETS


def test_targets(capsys):
    assert main(["targets"]) == 0
    said = capsys.readouterr().out
    found = document(capsys, "targets")
    assert all(entry["name"] in said for entry in found["targets"])
    assert {"x86-64-v3", "x86-64-v4"} <= {entry["name"] for entry in found["targets"]}
    assert re.search(rf"^{re.escape(found['native'])} +native", said, re.MULTILINE)
    assert "rpi4-musl" in said
    assert "cortex-a78-android24" in said
    assert "cost model for rpi3, rpi-zero2: cortex-a53, taken from zen-4, as nobody measured a Cortex-A53" in said
    assert {entry["name"]: entry["core_model"] for entry in found["targets"]}["rpi4"] == asdict(
        TARGETS["rpi4"].core_model
    )


def test_targets_on_another_machine(capsys, monkeypatch):
    monkeypatch.setattr("sparsecc.target.platform.machine", lambda: "riscv64")
    found = document(capsys, "targets")
    assert found["native"] is None
    assert not any(entry["runs_here"] for entry in found["targets"])
    assert main(["targets"]) == 0
