"""Kernels that load ahead of use: values, and what they are for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import CASES, build
from helpers import RUNNABLE, Job, run_jobs

from bench.arm.in_order import cycles, read
from bench.arm.mca import fmas, inner_loop, layer
from sparsecc._codegen import compile_object
from sparsecc.ir.layer import ConvLayer
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower.stored import from_json, to_json
from sparsecc.target import TARGETS

DIRECT = [case for case in CASES if not case.spec.is_linear and not case.spec.is_depthwise]
LANES = (4, 8, 16)


def pick(space: list[DirectConfig]) -> DirectConfig:
    """Of the widest vectors that there are, with loads ahead."""
    fitting = [config for config in space if config.lanes in LANES] or space
    config = max(fitting, key=lambda c: (c.reg_n * c.vectors, c.lanes, not c.rows_outer))
    return replace(config, ahead=True, unroll_taps=True) if config.lanes in LANES else config


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 6))])
def test_values(part):
    """Every case, arrays that end at memory nobody may read: no block is loaded that is not there."""
    cases = DIRECT[part::6]
    jobs, expected = [], []
    for case in cases:
        arrays = build(case)
        bias = np.zeros(case.spec.oc, np.float32) if arrays.bias is None else arrays.bias
        layer = ConvLayer("layer", "layer", case.spec, arrays.weight, bias)
        for grouping in (arrays.blocks.grouping, None) if part % 2 else (arrays.blocks.grouping,):
            jobs.append(Job(layer, (arrays.x,), grouping, pick))
            expected.append((case.name, arrays.y))
    found = run_jobs(jobs, target=RUNNABLE[0])
    assert [name for y, (name, want) in zip(found, expected, strict=True) if not np.array_equal(y, want)] == []


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("n", [4, 16])
def test_a_core_in_order_waits_less(kernel, n):
    """The config of the cost model, with and without; Cortex-A53 has time for more multiply-adds, and spills none."""
    target = TARGETS["rpi3"]
    task = layer(n, kernel, target)
    config = task.choice.default
    assert config.kernel.ahead
    shares = []
    for ahead in (True, False):
        function = task.lower(replace(config, kernel=replace(config.kernel, ahead=ahead))).function
        loop = inner_loop(compile_object({"kernel": function}, target.llvm).assembly)
        shares.append(fmas(loop) / cycles(loop, paired=True))
        assert not ahead or not [line for line in loop if line.lstrip().startswith(("str\tq", "stp\tq", "stur\tq"))]
    assert shares[0] > 1.1 * shares[1]
    assert shares[0] > 0.6


def test_only_cores_in_order_load_ahead():
    assert not layer(4, 3, TARGETS["rpi4"]).choice.default.kernel.ahead
    assert all(
        not config.kernel.ahead for config in layer(8, 1, TARGETS["rpi5"]).space if hasattr(config.kernel, "ahead")
    )
    space = layer(8, 1, TARGETS["rpi3"]).space
    assert {getattr(config.kernel, "ahead", False) for config in space} == {True, False}


def test_records_know_the_knobs():
    config = layer(4, 3, TARGETS["rpi3"]).choice.default
    assert from_json(to_json(config)) == config
    old = {name: value for name, value in to_json(config).items() if name != "ahead"}
    assert from_json(old) == replace(config, kernel=replace(config.kernel, ahead=False))


@pytest.mark.parametrize(
    ("line", "kind", "writes", "reads", "words"),
    [
        ("\tfmla\tv16.4s, v28.4s, v9.s[0]", "fma", ("v16",), ("v28", "v9"), 0),
        ("\tldp\tq28, q29, [x3, #32]", "load", ("v28", "v29"), ("x3",), 4),
        ("\tldr\tw17, [x0, w13, sxtw #2]", "load", ("x17",), ("x0", "x13"), 1),
        ("\tld1r\t{ v9.4s }, [x18], #4", "load", ("v9", "x18"), ("x18",), 2),
        ("\tcsel\tw0, w0, w29, lt", "scalar", ("x0",), ("x0", "x29", "flags"), 0),
        ("\tcmp\tx30, x29", "scalar", ("flags",), ("x30", "x29"), 0),
        ("\tdup\tv1.4s, w2", "vector", ("v1",), ("x2",), 0),
    ],
)
def test_instructions_are_read(line, kind, writes, reads, words):
    found = read(line)
    assert (found.kind, found.writes, found.reads, found.words) == (kind, writes, reads, words)


def test_the_scoreboard():
    """A stream of independent multiply-adds starts one a cycle; a chain waits for its sums; a load holds up its use."""
    stream = [f"\tfmla\tv{n}.4s, v30.4s, v31.4s" for n in range(8)]
    assert cycles(stream, paired=True) == pytest.approx(8, abs=0.2)
    assert cycles(stream[:1], paired=True) == pytest.approx(4, abs=0.2)
    assert cycles(["\tldr\tq30, [x0]", *stream], paired=True) > cycles(
        [*stream[:4], "\tldr\tq29, [x0]", *stream[4:]], paired=True
    )
    assert cycles(["\tldr\tq29, [x0]", *stream], paired=False) == pytest.approx(10, abs=0.3)
