"""Kernels of half precision against NumPy: all kinds of layers and configs, as code for this machine."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import CASES, build
from helpers import RUNNABLE, Array, Job, random_inputs, run_jobs

from sparsecc._codegen import compile_object
from sparsecc._tvm import IRModule
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.epilogue import Activation, Epilogue
from sparsecc.ir.graph import FusedConv, Graph, Node
from sparsecc.ir.layer import ConvLayer, MeanLayer, PoolLayer
from sparsecc.ir.tensor_type import FLOAT16, HALF
from sparsecc.kernels.direct_shape import DirectConfig
from sparsecc.lower.table import KERNELS, lower
from sparsecc.rewrite.layout import place
from sparsecc.target import TARGETS

#: of the largest result: a sum of 32 terms is rounded 32 times, to 11 bits
LIMIT = 2e-3
#: pixels, a channel or two more than fit, and a long sum
SIZES = [(28, 64), (14, 96), (7, 160)]


def half(values: Array) -> Array:
    return values.astype(np.float16)


def layer_of(spec: ConvSpec, weight: Array, bias: Array | None) -> ConvLayer:
    bias = np.zeros(spec.oc, np.float32) if bias is None else bias
    return ConvLayer("layer", "layer", spec, half(weight).astype(np.float32), bias, dtype=HALF)


def expected(job: Job) -> Array:
    operator = FusedConv(job.layer, job.epilogue) if isinstance(job.layer, ConvLayer) else job.layer
    return KERNELS[operator.kernel].reference(operator, IRModule({}), [x.astype(np.float32) for x in job.inputs])


def assert_near(jobs: list[Job], names: list[str]) -> None:
    for name, job, found in zip(names, jobs, run_jobs(jobs, target=RUNNABLE[0]), strict=True):
        want = expected(job)
        assert found.dtype == np.float16, name
        assert np.abs(found.astype(np.float32) - want).max() <= LIMIT * np.abs(want).max(), name


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 6))])
def test_layers(part):
    """The shared cases, each with another config of its space."""
    cases = CASES[part::6]
    jobs = []
    for number, case in enumerate(cases):
        arrays = build(case)
        layer = layer_of(case.spec, arrays.weight, arrays.bias)

        def pick(space: list[DirectConfig], number: int = number) -> DirectConfig:
            return space[(7 * number) % len(space)]

        rows = None if case.spec.is_depthwise else arrays.blocks.grouping
        jobs.append(Job(layer, (half(arrays.x),), rows, pick))
    assert_near(jobs, [case.name for case in cases])


def test_long_sums_and_epilogues():
    """Sums of more terms than half precision carries; residuals, gaps and activations of both kinds."""
    jobs, names = [], []
    kinds = [
        Epilogue(Activation("relu", ()), "before"),
        Epilogue(Activation("silu", ()), "none"),
        Epilogue(Activation("clip", (0.0, 6.0)), "after"),
    ]
    for (size, channels), epilogue in zip(SIZES, kinds, strict=True):
        for kernel in (1, 3):
            spec = ConvSpec(1, channels, size, size, 16, kernel, kernel, padding=(kernel // 2,) * 4)
            weight, x, residual = (
                t.numpy() for t in random_inputs(spec.weight_shape, (1, channels, size, size), (1, 16, size, size))
            )
            inputs = (half(x), *([half(residual)] if epilogue.adds_residual else []))
            weight /= np.sqrt(spec.ic * spec.taps)  # results are about as large as what bounds them
            jobs.append(Job(layer_of(spec, weight, None), inputs, epilogue=epilogue))
            names.append(f"{size} {kernel} {epilogue}")
    assert_near(jobs, names)


def test_windows_and_means():
    spec = ConvSpec(1, 12, 15, 15, 12, 3, 3, (2, 2), (1, 1, 1, 1), groups=12)
    (x,) = (t.numpy() for t in random_inputs((1, 12, 15, 15)))
    large = ConvSpec(1, 12, 15, 15, 12, 9, 9, padding=(4, 4, 4, 4), groups=12)
    layers = [
        PoolLayer("max", "max", spec, "max"), PoolLayer("sum", "sum", spec, "sum", divisor=9),
        PoolLayer("large", "large", large, "max"), MeanLayer("mean", "mean", 1, 12, 15, 15),
    ]  # fmt: skip
    made = [type(layer)(**{**vars(layer), "dtype": HALF}) for layer in layers]
    assert_near([Job(layer, (half(x),)) for layer in made], [layer.name for layer in made])


def code_of(channels: int, kernel: int) -> str:
    """What rpi5 runs for a layer that is pruned to half of its blocks of 4."""
    spec = ConvSpec(1, channels, 28, 28, 32, kernel, kernel, padding=(kernel // 2,) * 4)
    (weight,) = (t.numpy() for t in random_inputs(spec.weight_shape))
    node = Node("layer", FusedConv(layer_of(spec, weight, None), Epilogue()), (0,), 1)
    graph = Graph(((1, channels, 28, 28), (1, 32, 28, 28)), (node,), (0,), (1,), {0: FLOAT16, 1: FLOAT16})
    placed = place(graph)
    (conv,) = (node for node in placed.nodes if node.operator.kernel == "conv")
    job = Job(node.operator.layer, ())
    from helpers import _job_plan

    kernel_made = lower(conv, placed, IRModule({}), {"layer": _job_plan("layer", job)}, TARGETS["rpi5"])
    return compile_object({"kernel": kernel_made.function}, TARGETS["rpi5"].llvm).assembly


@pytest.mark.parametrize("kernel", [1, 3])
def test_boards_multiply_eight_at_a_time(kernel):
    """Weights come from lanes; in the inner loop nothing is converted, and no sum leaves its register."""
    from bench.arm.mca import fmas, inner_loop

    loop = inner_loop(code_of(64, kernel))
    assert fmas(loop) >= 16
    assert sum(bool(re.search(r"\sfmla\sv\d+\.8h, v\d+\.8h, v\d+\.h\[\d\]$", line)) for line in loop) == fmas(loop)
    assert not [line for line in loop if re.search(r"\s(fcvt|str\sq|stp\sq|stur\sq)", line)]
