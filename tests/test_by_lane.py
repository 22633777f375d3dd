"""Kernels whose weights fill vectors: values, and the code that boards run."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from cases import CASES, build
from helpers import RUNNABLE, Job, run_jobs

from bench.arm.mca import fmas, inner_loop, layer
from sparsecc._codegen import compile_object
from sparsecc.ir.layer import ConvLayer
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.target import TARGETS

DIRECT = [case for case in CASES if not case.spec.is_linear and not case.spec.is_depthwise]
#: a multiply-add that takes a weight from a lane, and loads that fill a register with one weight
BY_LANE, ALONE = re.compile(r"\sfmla\sv.*\.s\[\d\]$"), re.compile(r"\s(ld1r\s|ldr\ss\d|ldp\ss\d)")


def pick(space: list[DirectConfig]) -> DirectConfig:
    """The most channels in registers that fill vectors."""
    config = max(space, key=lambda c: (c.reg_n in (2, 4, 8), c.reg_n * c.vectors, not c.rows_outer))
    return replace(config, by_lane=config.reg_n in (2, 4, 8))


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 6))])
def test_values(part):
    """Arrays end at memory that nobody may read: vectors of weights have no lane that is not there."""
    jobs, expected = [], []
    for case in DIRECT[part::6]:
        arrays = build(case)
        bias = np.zeros(case.spec.oc, np.float32) if arrays.bias is None else arrays.bias
        operator = ConvLayer("layer", "layer", case.spec, arrays.weight, bias)
        jobs.append(Job(operator, (arrays.x,), arrays.blocks.grouping, pick))
        expected.append((case.name, arrays.y))
    found = run_jobs(jobs, target=RUNNABLE[0])
    assert [name for y, (name, want) in zip(found, expected, strict=True) if not np.array_equal(y, want)] == []


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("n", [4, 16])
def test_boards_load_no_weight_alone(kernel, n):
    """Accumulators stay in registers, too."""
    target = TARGETS["rpi4"]
    task = layer(n, kernel, target)
    assert task.choice.default.kernel.by_lane
    loop = inner_loop(compile_object({"kernel": task.lower(task.choice.default).function}, target.llvm).assembly)
    assert fmas(loop) >= 16
    assert sum(bool(BY_LANE.search(line)) for line in loop) == fmas(loop)
    assert not [line for line in loop if ALONE.search(line) or re.search(r"\sst(r|p|ur)\sq", line)]


@pytest.mark.parametrize("n", [4, 16])
def test_a_step_computes_one_address(n):
    """Of 32 instructions 24 multiply-adds: weights and offsets by pointers that move on, pixels by a sum of two."""
    target = TARGETS["rpi4"]
    task = layer(n, 1, target)
    loop = inner_loop(compile_object({"kernel": task.lower(task.choice.default).function}, target.llvm).assembly)
    code = [line.split() for line in loop if line.startswith("\t") and not line.startswith("\t.")]
    assert len(code) <= fmas(loop) + 8
    assert sum(words[0] in ("add", "sbfiz", "lsl", "madd", "sxtw") for words in code) <= 1


def test_only_cores_with_lanes_take_them():
    for name, lanes in (
        ("rpi5", True),
        ("rpi2", False),
        ("rpi3-32", False),
        ("x86-64-v3", False),
        ("x86-64-v4", False),
    ):
        space = [
            config.kernel for config in layer(8, 1, TARGETS[name]).space if isinstance(config.kernel, DirectConfig)
        ]
        assert {config.by_lane for config in space if config.reg_n == 4} == {lanes}
        assert {config.by_lane for config in space if config.reg_n == 1} == {False}
