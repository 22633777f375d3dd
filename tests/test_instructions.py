"""Instructions that emulated boards run: code that grows shows here."""

from __future__ import annotations

import pytest
from tuning_case import emulator, example, program, tiny_net

import sparsecc
from bench.arm.instructions import count
from bench.cells.work import count_work


@pytest.mark.parametrize(("target", "most"), [("rpi4", 142_000), ("rpi2", 193_000)])
def test_instructions_of_a_run(target, most, tmp_path):
    """A tenth above what the tiny network took when this was written."""
    emulator({"rpi4": "qemu-aarch64", "rpi2": "qemu-arm"}[target])
    program("gcc")
    compiled = sparsecc.compile(tiny_net(), target, example_inputs=example())
    found = count(compiled, tmp_path)
    assert most / 2 < found.instructions <= most
    kept = count_work(tiny_net(), *example(), {}, n=8).kept_macs
    assert 0.5 < 4 * found.fused / kept < 2  # some lanes lie beyond a plane, some products are scalar
