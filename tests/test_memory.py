"""How much memory a compilation takes: weights are many, and must not be held many times."""

from __future__ import annotations

import errno
import subprocess
import sys

import numpy as np
import pytest

from sparsecc.build import spill
from sparsecc.build.spill import spilled

#: a layer of 96 MiB, and what of it a compilation adds to the most that was in memory before
_CHILD = """\
import resource, torch, sparsecc
def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def compiled(features):
    sparsecc.compile(torch.nn.Linear(4096, features), example_inputs=(torch.randn(1, 4096),))
compiled(64)
layer = torch.nn.Linear(4096, 6144)
before = most()
compiled_large = sparsecc.compile(layer, example_inputs=(torch.randn(1, 4096),))
print(most() - before)
"""


def test_weights_are_not_in_memory_many_times() -> None:
    """Beside the model's own: packed, then in the library, and what a stage needs besides."""
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 3 * 96


def test_weights_on_disk_are_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = (np.arange(7, dtype=np.int8), np.zeros(0, np.float32), np.arange(6, dtype=np.float32).reshape(2, 3).T)
    assert spilled(weights)[0] is weights[0]  # small ones stay
    monkeypatch.setattr(spill, "LEAST", 0)
    found = spilled(weights)
    for one, other in zip(weights, found, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert isinstance(found[2], np.memmap)


def test_weights_stay_where_there_is_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spill, "LEAST", 0)
    monkeypatch.setattr(spill.tempfile, "TemporaryFile", full)
    weights = (np.arange(7, dtype=np.float32),)
    assert spilled(weights)[0] is weights[0]
