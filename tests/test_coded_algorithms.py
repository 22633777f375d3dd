"""Dense or sparse, for layers of codes: by their own kernels' cost, which is another than that of float32."""

from __future__ import annotations

import pytest

from sparsecc.advice.structures import dense_structure, structure_of
from sparsecc.algorithms import Algorithms
from sparsecc.analyse.impose import Impose
from sparsecc.analyse.layers import FoundLayer
from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.cost.decide import predicted_speedup
from sparsecc.lower.int8.price import coded_cycles
from sparsecc.options import Options
from sparsecc.target import resolve

VNNI = resolve("x86-64-v4+vnni")
ONES = (1, 1, 1, 1)
#: layers, patterns, and what is faster: measured on a Zen 5 (python -m bench.studies.int8_layers)
MEASURED = {
    "1x1, 128 to 128, 56x56": (ConvSpec(1, 128, 56, 56, 128), Impose(4, 0.5), "sparse"),
    "1x1, 512 to 512, 14x14": (ConvSpec(1, 512, 14, 14, 512), Impose(16, 0.75), "sparse"),
    "3x3, 64 to 64, 56x56": (ConvSpec(1, 64, 56, 56, 64, 3, 3, padding=ONES), Impose(16, 0.5), "sparse"),
    "3x3, 512 to 512, 7x7": (ConvSpec(1, 512, 7, 7, 512, 3, 3, padding=ONES), Impose(4, 0.75), "sparse"),
    "1x1 of stride 2": (ConvSpec(1, 256, 28, 28, 512, 1, 1, (2, 2)), Impose(4, 0.5), "dense"),
    "linear": (ConvSpec(1, 512, 1, 1, 1000), Impose(4, 0.75), "dense"),
    "linear, 1x16": (ConvSpec(1, 512, 1, 1, 1000), Impose(16, 0.75), "dense"),
}


def decided(spec: ConvSpec, impose: Impose, *, coded: bool) -> str:
    layer = FoundLayer("key", "name", "conv", spec, structure_of(spec, impose), coded=coded)
    (plan,) = Algorithms([layer], VNNI, Options(), slower=lambda spec, structure: 1.0).plan().layers
    return plan.decision


@pytest.mark.parametrize("name", MEASURED)
def test_what_is_faster_is_chosen(name):
    spec, impose, faster = MEASURED[name]
    assert decided(spec, impose, coded=True) == faster


def test_float_layers_are_decided_by_theirs():
    differ = [name for name, (spec, impose, faster) in MEASURED.items() if decided(spec, impose, coded=False) != faster]
    assert "linear, 1x16" in differ
    spec, impose, _ = MEASURED["linear, 1x16"]
    assert predicted_speedup(spec, structure_of(spec, impose), VNNI) > 1.2


@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4+vnni", "rpi4", "rpi5"])
def test_fewer_blocks_take_less(target):
    for spec, _, _ in MEASURED.values():
        cycles = [coded_cycles(spec, structure_of(spec, Impose(4, s)), resolve(target)) for s in (0.5, 0.75, 0.9)]
        assert cycles == sorted(cycles, reverse=True)
        assert coded_cycles(spec, None, resolve(target)) > 0


def test_a_block_of_one_tap_counts_as_a_kernel():
    spec = MEASURED["3x3, 64 to 64, 56x56"][0]
    whole = dense_structure(spec)
    assert coded_cycles(spec, whole, VNNI) > coded_cycles(spec, None, VNNI)
