"""Instructions that emulated boards run: code that grows shows here."""

from __future__ import annotations

import pytest
from tuning_case import emulator, example, program, tiny_net

import sparsecc
from bench.instructions import instructions


@pytest.mark.parametrize(("target", "most"), [("rpi4", 148_000), ("rpi2", 430_000)])
def test_instructions_of_a_run(target, most, tmp_path):
    """A tenth above what the tiny network took when this was written."""
    emulator({"rpi4": "qemu-aarch64", "rpi2": "qemu-arm"}[target])
    program("gcc")
    compiled = sparsecc.compile(tiny_net(), target, example_inputs=example())
    found = instructions(compiled, tmp_path)
    assert most / 2 < found <= most
