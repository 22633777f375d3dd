"""Numbers of every kind where users give one, and none where it is no number."""

from __future__ import annotations

from fractions import Fraction

import kernels_c
import numpy as np
import pytest
import torch
from kernels_c import X, Y

import sparsecc
from sparsecc.analyse.impose import Impose
from sparsecc.errors import UserError
from sparsecc.options import Options
from sparsecc.runtime import load
from sparsecc.tuning.tune import tune
from sparsecc.untrusted.numbers import as_float, as_int


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3), np.array(3)])
def test_whole_numbers(value):
    assert as_int(value) == 3
    assert type(as_int(value)) is int


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), torch.tensor(True), 3.0, np.float32(3), "3", None, [3], np.array([3, 4]), 3j]
)
def test_what_is_no_whole_number(value):
    assert as_int(value) is None


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), Fraction(1, 2)])
def test_real_numbers(value):
    assert as_float(value) == 0.5
    assert type(as_float(value)) is float


@pytest.mark.parametrize("value", [True, np.bool_(True), "0.5", None, float("nan"), 10**400, [0.5], 1j])
def test_what_is_no_real_number(value):
    assert as_float(value) is None


def test_threads_of_a_library():
    library = load(kernels_c.tiny_library(), threads=np.int64(2))
    assert (library.threads, type(library.threads)) == (2, int)
    library.threads = np.uint8(1)
    assert library.threads == 1
    np.testing.assert_array_equal(library(X), Y)
    assert library.profile(X, runs=np.int64(1))
    for wrong in (True, "2", 1.0, -1, [2]):
        with pytest.raises(UserError, match="threads: found"):
            library.threads = wrong
        with pytest.raises(UserError, match="profile: found runs="):
            library.profile(X, runs=wrong)


def test_options():
    found = Options(threads=np.int64(2), verify=np.float32(1e-3), min_speedup=np.float64(1.5), impose=Impose(4, 0.5))
    assert (found.threads, type(found.threads)) == (2, int)
    assert found.tolerance == pytest.approx(1e-3)
    for wrong in ({"threads": True}, {"threads": 2.0}, {"threads": 0}, {"verify": "1e-3"}, {"verify": float("nan")}):
        with pytest.raises(UserError, match=rf"{next(iter(wrong))}: found"):
            Options(**wrong)
    for speedup in (float("nan"), float("inf"), "1.05", True, 0):
        with pytest.raises(UserError, match="min_speedup: found"):
            Options(min_speedup=speedup)


def test_imposed_patterns():
    found = Impose(np.int64(4), np.float32(0.5))
    assert (type(found.block_n), type(found.sparsity)) == (int, float)
    for n, sparsity in ((True, 0.5), ("4", 0.5), (4, True), (4, "0.5"), (4, float("nan"))):
        with pytest.raises(UserError, match="impose: found"):
            Impose(n, sparsity)


@pytest.mark.parametrize("n", [True, "4", (4, "8"), (), 4.0, 0, (np.int64(65),), None])
def test_blocks_of_advice(n):
    with pytest.raises(UserError, match="n: found"):
        sparsecc.advise(torch.nn.Identity(), "x86-64-v3", n=n)


@pytest.mark.parametrize("sparsities", ["0.5", (0, "0.5"), (0, float("nan")), (0.5,), 3, (0, 0.5, 0.5), (0, True)])
def test_sparsities_of_advice(sparsities):
    with pytest.raises(UserError, match="sparsities: found"):
        sparsecc.advise(torch.nn.Identity(), "x86-64-v3", n=np.int64(4), sparsities=sparsities)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trials": "5"}, {"trials": True}, {"threads": None}, {"minutes": "1"}, {"minutes": float("nan")},
        {"seed": -1}, {"seed": 0.5},
    ],
)  # fmt: skip
def test_numbers_of_a_search(wrong, tmp_path):
    with pytest.raises(UserError, match=f"{next(iter(wrong))}: found"):
        tune(torch.nn.Identity(), "x86-64-v3", log=tmp_path / "log.jsonl", **wrong)
    assert list(tmp_path.iterdir()) == []
