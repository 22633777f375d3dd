"""The loader of a deploy folder, which has NumPy alone, and what may happen to the file that it loaded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from patience import PATIENCE_S

from sparsecc.build.sources import fill
from sparsecc.deploy import FILES
from sparsecc.runtime.format import SEAL_MARK

#: runs the network, has its file replaced in one of two ways, and runs it again
PROGRAM = """
import gc, os, shutil, sys
import numpy as np
from tiny_numpy import Model

way = sys.argv[1]
x = np.ones((3, 5, 7), np.float32)
old = Model(threads=1)
first = old(x)
if way == "rename":
    shutil.copyfile("new.so", "beside.so")
    os.replace("beside.so", "tiny.so")
else:
    with open("new.so", "rb") as source, open("tiny.so", "r+b") as file:
        file.truncate(0)
        assert np.array_equal(old(x), first)
        file.write(source.read())
new = Model(threads=1)
assert new._code is Model(threads=1)._code is not old._code
assert np.array_equal(old(x), first)
assert not np.array_equal(new(x), first)
np.savetxt("new.txt", new(x).reshape(-1))
copies = [name for name in os.listdir("/proc/self/fd")]
del old, new
gc.collect()
assert len(os.listdir("/proc/self/fd")) == len(copies) - 2, "a library that nobody uses stays open"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library with its loader, and another of the same name beside it."""
    kernels_c.link(kernels_c.tiny(), tmp_path / "tiny.so")
    scale, bias = kernels_c.tiny().weights
    kernels_c.link(replace(kernels_c.tiny(), weights=(2 * scale, bias)), tmp_path / "new.so")
    template = (FILES / "model_numpy.py.in").read_text()
    (tmp_path / "tiny_numpy.py").write_text(fill(template, {"name": "tiny", "version": "0", "mark": SEAL_MARK}))
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("way", ["rename", "copy over"])
def test_a_library_is_replaced_under_a_running_process(folder: Path, way: str) -> None:
    """What is loaded stays as it was; who loads again has the new network."""
    done = run(folder, "-c", PROGRAM, way)
    assert done.returncode == 0, done.stderr
    bias = np.array([0.5, -0.5, 0], "float32")[:, None, None]
    wanted = 2 * (kernels_c.tiny_reference(np.ones(kernels_c.SHAPE, "float32")) - bias) + bias
    np.testing.assert_allclose(np.loadtxt(folder / "new.txt"), wanted.reshape(-1), rtol=1e-6)


def damaged(folder: Path, how: str) -> str:
    """What is wrong in the end, after the file was changed."""
    path = folder / "tiny.so"
    data = path.read_bytes()
    if how == "half copied":
        half = len(data) // 2
        path.write_bytes((folder / "new.so").read_bytes()[:half] + data[half:])
        return "damaged, or still being copied: its digest differs"
    if how == "shorter":
        path.write_bytes(data[: len(data) // 2])
        return "damaged, or still being copied"
    if how == "foreign":
        path.write_bytes(data[:18] + b"\xb7\0" + data[20:])
        return "compiled for 64-bit ARM (aarch64), but this Python is for x86-64; compile it for this machine"
    path.write_bytes(b"" if how == "empty" else b"no library" * 10)
    return "damaged, or still being copied: expected a library made by sparsecc"


@pytest.mark.parametrize("how", ["half copied", "shorter", "foreign", "empty", "text"])
def test_what_the_loader_refuses(folder: Path, how: str) -> None:
    said = damaged(folder, how)
    done = run(folder, "tiny_numpy.py")
    assert done.returncode == 1
    assert "tiny.so: " in done.stderr
    assert said in done.stderr
