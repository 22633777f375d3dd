"""Every kernel of 8-bit integers against NumPy, over the shared cases, all kinds of configs and instructions."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from int8_cases import CASES, WINDOWS, Case, assert_codes, grouping_of, inputs_of, layouts_of, operator_of, run

from sparsecc.kernels.int8.depthwise import int8_depthwise
from sparsecc.kernels.int8.instructions import Instructions
from sparsecc.kernels.int8.shape import QuantShape
from sparsecc.lower.int8 import conv, window
from sparsecc.lower.int8.options import QuantOptions, instructions_of
from sparsecc.lower.quantized import values
from sparsecc.target import resolve
from sparsecc.target.model import has_features

#: name of a target -> the feature that this machine needs for it, besides
VNNI = {"x86-64-v4+vnni": "avx512vnni", "x86-64-v3+vnni": "avxvnni"}
NAMES = ["x86-64-v3", "x86-64-v4", *VNNI]
TARGETS = [name for name in NAMES if resolve(name).runs_here() and has_features([VNNI.get(name, "avx2")])]
#: each case with one kind of instructions, and each kind with all cases in turns: the rest is slow
QUICK = [
    pytest.param(case, target, id=f"{case.name}-{target}", marks=() if i % len(TARGETS) == j else pytest.mark.slow)
    for i, case in enumerate(CASES)
    for j, target in enumerate(TARGETS)
]


def options_of(case: Case, target: str) -> QuantOptions:
    source, result = layouts_of(case)
    return QuantOptions(operator_of(case), source, result, resolve(target), grouping_of(case))


def kernels_of(options: QuantOptions):
    """One config of each kernel, and of each size of a row of blocks that the default has not."""
    found = {}
    for config in options.space():
        knobs = config.knobs()
        found.setdefault((config.name, knobs["band"] == 0, knobs.get("vectors")), config)
    return dict.fromkeys([options.default(), *islice(found.values(), 3)])


@pytest.mark.parametrize(("case", "target"), QUICK)
def test_convolutions(case, target):
    options = options_of(case, target)
    expected = values(options.operator, inputs_of(case))
    for config in kernels_of(options):
        shape, constants = conv.packed(options, config)
        found = run(conv.function_of(shape, config), shape, case, constants, options.target)
        assert_codes(found, expected, options.operator)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("case", WINDOWS, ids=lambda case: case.name)
def test_depthwise(case, target):
    operator, (source, result) = operator_of(case), layouts_of(case)
    by = instructions_of(resolve(target))
    shape = window.counted(QuantShape(case.spec, source, case.reads, result, by, case.spec.oc, 1, 0, 1, 1, True, False))
    constants = window.constants(operator, shape)
    for config in islice(window.configs(shape), 0, None, 4):
        found = run(int8_depthwise(shape, config), shape, case, constants, resolve(target))
        assert_codes(found, values(operator, inputs_of(case)), operator)


def test_large_results_saturate():
    case = next(case for case in CASES if case.name == "saturates")
    steps = values(operator_of(case), inputs_of(case)) / case.writes.scale
    assert steps.min() < -300
    assert steps.max() > 300


def test_instructions_of_targets():
    expected = {
        "x86-64-v3": Instructions("vpmaddwd", 8), "x86-64-v4": Instructions("vpmaddwd", 16),
        "x86-64-v3+vnni": Instructions("vpdpbusd", 8), "x86-64-v4+vnni": Instructions("vpdpbusd", 16),
        "rpi5": Instructions("sdot", 4), "aarch64+dotprod": Instructions("sdot", 4),
        "rpi4": Instructions("smlal", 4), "rpi2": Instructions("smlal", 4),
    }  # fmt: skip
    assert {name: instructions_of(resolve(name)) for name in expected} == expected


def test_only_codes_ask_for_their_feature():
    plain, target = resolve("x86-64-v4"), resolve("x86-64-v4+vnni")
    assert (target.llvm, target.cpu_features) == (plain.llvm, plain.cpu_features)
    asked = target.for_codes()
    assert asked.cpu_features == (*plain.cpu_features, "avx512vnni")
    assert "+avx512vnni" in asked.llvm["mattr"]
    assert plain.for_codes() is plain


def test_a_row_without_blocks_is_its_bias():
    case = next(case for case in CASES if case.name == "density_0")
    assert not np.any(operator_of(case).weight)
