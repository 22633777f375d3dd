"""Verification of networks of codes finds what a kernel computes wrong, and lets values between two codes fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from coded import CodedBranch
from numpy.typing import NDArray

from sparsecc.artefact import Artefact
from sparsecc.errors import VerificationError
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.quantized import Quantization, QuantizedConv
from sparsecc.lower import quantized
from sparsecc.lower.table import KERNELS
from sparsecc.options import Options
from sparsecc.pipeline import run
from sparsecc.target import resolve
from sparsecc.target.records.lookup import Records
from sparsecc.verify import steps
from sparsecc.verify.run import Run, linked
from sparsecc.verify.steps import check_steps
from sparsecc.verify.trace import all_outputs

Compiled = tuple[Artefact, Sequence[NDArray[np.float32]], Run]


@pytest.fixture(scope="module")
def made() -> Compiled:
    """A network, its example, and results of all kernels, computed once."""
    torch.manual_seed(0)
    target = resolve("native")
    x = torch.randn(1, 3, 8, 8)
    artefact, imported = run(CodedBranch(), (x,), target, Options(), progress=print, schedules=Records())
    results = linked(imported, cc=None)(all_outputs(artefact))
    return artefact, [x.numpy()], lambda _: results


def check(made: Compiled) -> str:
    artefact, example, computed = made
    assert artefact.placed is not None
    return check_steps(artefact, artefact.placed, example, tolerance=1e-4, run=computed)


def with_reference(monkeypatch: pytest.MonkeyPatch, kernel: str, off: float) -> None:
    """Let a kernel's reference be some steps away at one place."""
    row = KERNELS[kernel]

    def other(*arguments: Any) -> NDArray[Any]:
        found = row.reference(*arguments).copy()
        found.reshape(-1)[:2] += np.asarray(off, found.dtype)
        return found

    monkeypatch.setattr(steps, "KERNELS", {**KERNELS, kernel: replace(row, reference=other)})


def test_a_sound_network_passes(made):
    assert "each of 8 kernel calls was held against its reference" in check(made)
    assert ": 0 of 1232 codes are one step away" in check(made)


@pytest.mark.parametrize(
    ("kernel", "off", "said"),
    [
        ("qdepthwise", 2, "found codes 2 steps away, expected at most one"),
        ("qconv", 1, "one off that are not beside the middle between two"),
        ("generic", 1, "codes one off, expected at most 1"),
        ("qpool", 1, "found 2 codes that are not the largest of their windows"),
        ("qlinear", 0.5, "found an error of"),
    ],
)
def test_wrong_results_are_found(made, monkeypatch, kernel, off, said):
    with_reference(monkeypatch, kernel, off)
    with pytest.raises(VerificationError) as error:
        check(made)
    assert said in str(error.value)
    assert "please report it" in str(error.value)


def layer(**changes: Any) -> QuantizedConv:
    to = Quantization(0.5, 10, "uint8")
    made = QuantizedConv(
        "a", "a", ConvSpec(1, 1, 1, 2, 1, groups=1), np.array([[[[1]]]], np.int8), np.ones(1, np.float32),
        np.zeros(1, np.float32), Quantization(1 / 8, 0, "uint8"), to, 0, 255,
    )  # fmt: skip
    return replace(made, **changes)


def test_only_values_beside_the_middle_may_fall_to_either_side():
    """18 eighths are 4.5 steps of a half; 19 are 4.75."""
    codes = np.array([[[[18, 19]]]], np.uint8)
    assert quantized.boundary(layer(), [codes]).reshape(-1).tolist() == [True, False]
    assert quantized.reference(layer(), None, [codes]).reshape(-1).tolist() == [14, 15]  # half to even


def test_codes_are_what_pytorch_gives():
    to = Quantization(0.3, 7, "int8")
    values = np.array([0.1, 0.5, -0.2, 1e9, -1e9, np.nan], np.float32)
    assert to.codes(values, low=-100, high=100).tolist() == [7, 9, 6, 100, -100, -100]
    np.testing.assert_array_equal(to.values(np.array([7, 8], np.int8)), np.array([0, 0.3], np.float32))
    assert to.type.fill == 7
    assert Quantization(1.0, -128, "int8").type.fill == 128
