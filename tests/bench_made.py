"""Made-up benchmark results, and what tests of the benchmark need to be installed."""

from __future__ import annotations

import importlib
import os

import pytest

from bench.results.schema import Cell, CellResult, Limits, Machine, Participant, Results, Round, Rules, Work
from bench.rivals import RIVALS

LIMITS = Limits({"1": 100.0, "2": 200.0}, {"L2": 100.0, "L3": 90.0, "DRAM": 20.0})
ERRORS = {"sparsecc": 1e-6, "sparsecc_dense": 1e-6, "onnxruntime": 2e-6, "torch_eager": 0.0}


def require(*packages):
    """Skip the test without these packages, which `make setup-bench` installs; in CI that is a failure."""
    for package in packages:
        if os.environ.get("CI"):
            importlib.import_module(package)
        else:
            pytest.importorskip(package)


def made_round(where="any", disturbed=None, others=0.0, **ms):
    return Round(tuple(ms), ms, dict.fromkeys(ms, 5), dict.fromkeys(ms, 1.0), where, (), others, 0.0, 100.0, disturbed)


def made_cell(rounds, errors=None, threads=1, net="mobilenet_v1", n=16, sparsity=0.75, convert_s=1.0):
    """A cell of 500 M multiply-adds in which so many are kept as the sparsity says, but for 0.75: a fifth."""
    kept = {0.75: 100_000_000}.get(sparsity, round(500_000_000 * (1 - sparsity)))
    participants = [
        Participant(
            name, RIVALS[name].label, RIVALS[name].ours, RIVALS[name].uses_zeros, "1", error, None, convert_s, 10**9
        )
        for name, error in (ERRORS | (errors or {})).items()
    ]
    work = Work(500_000_000, kept, 10**7, 10**6)
    return CellResult(Cell(net, n, sparsity, threads), work, tuple(participants), tuple(rounds), seconds=60.0)


def made_results(*cells):
    machine = Machine("a CPU", 2, ("avx2",), "Linux 6", "2026-01-01T00:00:00+00:00", {"python": "3.11"})
    return Results(machine, LIMITS, Rules(rounds=2), cells)


def steady(*factors, **ms):
    """Rounds with these times, in each of which the machine was so many times slower."""
    return [made_round(**{name: factor * time for name, time in ms.items()}) for factor in factors or (1.0, 2.0)]


STEADY = steady(sparsecc=4.0, sparsecc_dense=20.0, onnxruntime=16.0, torch_eager=24.0)
