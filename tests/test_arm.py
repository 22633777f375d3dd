"""Whole networks for ARM, run by an emulator of every board's core: 32 and 64 bit, one to four threads."""

from __future__ import annotations

import functools
from pathlib import Path

import nets
import numpy as np
import pytest
import torch
from boards import CORES, board, error, program_with_library, run, static_program

import sparsecc
from sparsecc.compiled import Compiled

LIMIT = 1e-4
#: N and sparsity
PATTERNS = {"1x4_50": (4, 0.5), "1x4_90": (4, 0.9), "1x16_50": (16, 0.5), "1x16_90": (16, 0.9), "dense": None}
CASES = [
    *((name, pattern, 64) for name in ("mobilenet_v2", "resnet18") for pattern in PATTERNS),
    *(("mobilenet_v2", pattern, 224) for pattern in PATTERNS),
]
#: one small network for every preset, with all patterns among them; those for 32 and 64 bit are quick, the others slow
QUICK = [
    pytest.param(target, CASES[i % 10], id=target, marks=() if target in ("rpi2", "rpi3") else pytest.mark.slow)
    for i, target in enumerate(CORES)
]


@functools.lru_cache(maxsize=1)
def case(
    name: str, pattern: str, size: int, width: float
) -> tuple[torch.export.ExportedProgram, torch.Tensor, np.ndarray]:
    """A network, an input and PyTorch's output."""
    model = nets.build(name, width=width)
    if PATTERNS[pattern] is not None:
        n, sparsity = PATTERNS[pattern]
        nets.impose_1xn(model, n, sparsity)
        # where there are enough pixels for sound statistics
        nets.calibrate_batchnorm(model, torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)))
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return torch.export.export(model, (x,)), x, model(x).numpy()


def compiled_for(target: str, exported: torch.export.ExportedProgram, pattern: str) -> Compiled:
    compiled = sparsecc.compile(exported, target)
    assert any(layer.decision == "sparse" for layer in compiled.plan.layers) == (pattern != "dense")
    return compiled


@pytest.mark.parametrize(("target", "drawn"), QUICK)
def test_small_network(target, drawn, tmp_path):
    """The same bits from the static and the shared library, and for any number of threads."""
    exported, x, expected = case(*drawn, 0.25)
    compiled = compiled_for(target, exported, drawn[1])
    static, shared = static_program(compiled, tmp_path), program_with_library(compiled, tmp_path)
    found = run([*board(target), str(static)], x, threads=1, shape=expected.shape)
    assert error(found, expected) <= LIMIT
    for command, threads in (
        ([*board(target), str(static)], 4),
        ([*board(target, libraries=True), str(shared)], 3),
        ([*board(target, libraries=True), str(shared)], 2),
    ):
        np.testing.assert_array_equal(run(command, x, threads=threads, shape=expected.shape), found)


@pytest.mark.slow
@pytest.mark.parametrize("target", CORES)
@pytest.mark.parametrize("drawn", CASES, ids=lambda drawn: "-".join(map(str, drawn)))
def test_network(target, drawn, tmp_path: Path, record_property):
    exported, x, expected = case(*drawn, 1.0)
    app = static_program(compiled_for(target, exported, drawn[1]), tmp_path)
    found = run([*board(target), str(app)], x, threads=1, shape=expected.shape)
    record_property("error", error(found, expected))
    assert error(found, expected) <= LIMIT
