"""Libraries for systems with another C library than glibc: musl and Android."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from boards import board, debian_triple, error, program_with_archive, run
from torch import nn
from tuning_case import program

import sparsecc
from sparsecc.build.toolchain import find_compiler
from sparsecc.errors import TargetError, ToolchainError
from sparsecc.target import TARGETS, resolve

torch.manual_seed(0)
NET = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()).eval()
X = (torch.randn(1, 16, 12, 12),)

#: stands in for the compiler of an NDK: it writes down how it is called, and links with the C library that zig has
_FAKE = """\
#!{python}
import subprocess, sys
words = sys.argv[1:]
if "-print-prog-name=ar" in words:
    sys.exit(print("ar"))
with open({log!r}, "a") as file:
    print(*words, file=file)
zig = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
sys.exit(subprocess.run(zig + [word for word in words if not word.startswith("-march")]).returncode)
"""


@pytest.mark.parametrize(
    ("name", "triple"),
    [
        ("rpi4-musl", "aarch64-linux-musl"),
        ("rpi2-musl", "armv7l-linux-musleabihf"),
        ("x86-64-v4+vnni-musl", "x86_64-linux-musl"),
        ("cortex-a78-android24", "aarch64-linux-android24"),
        ("x86-64-v3-android21", "x86_64-linux-android21"),
    ],
)
def test_names(name, triple):
    """All else is the processor's, but that code for Android is told so."""
    base, found = resolve(name.rpartition("-")[0]), resolve(name)
    assert found.triple == triple
    assert found.name == f"{base.name}-{name.rpartition('-')[2]}"
    assert (found.llvm == base.llvm) == ("musl" in name)
    assert (found.core_model, found.codes, found.cpu_features) == (base.core_model, base.codes, base.cpu_features)
    assert not found.runs_here()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rpi2-android24", "target 'rpi2-android24': found a processor with 32 bit, expected one with 64 bit"),
        ("rpi4-android20", "found API level 20, expected one from 21 to 99: rpi4-android21 runs on all"),
        ("rpi4-android", "found no API level, expected one from 21 to 99"),
        ("rpi44-musl", "found 'rpi44-musl', expected one of"),
        ("native-musl", "found 'native-musl', expected one of"),
    ],
)
def test_there_is_no_such_system(name, message):
    with pytest.raises(TargetError, match=re.escape(message)):
        resolve(name)


@pytest.mark.parametrize(("host", "level", "system"), [("x86_64-pc-linux-musl", None, "musl"), ("", 30, "android30")])
def test_native_on_another_system(host, level, system, monkeypatch):
    """The C library of this Python; what is for another one can't be loaded."""
    here = resolve("native")
    monkeypatch.setattr("sparsecc.runtime.libc.sysconfig.get_config_var", lambda name: host)
    if level:
        monkeypatch.setattr(sys, "getandroidapilevel", lambda: level, raising=False)
    found = resolve("native")
    assert found.name == f"{here.name}-{system}"
    assert found.runs_here()
    assert not here.runs_here()


def test_a_library_for_musl(tmp_path):
    """It needs nothing but musl; the same network runs in an emulator, and its code is that for glibc."""
    compiled = sparsecc.compile(NET, "rpi4-musl", example_inputs=X, threads=1, verify=False)
    compiled.save(f"{tmp_path}/out/")
    words = [program("readelf"), "-Wd", str(tmp_path / "out" / "model.so")]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"NEEDED.*\[(.*?)\]", shown) == ["libc.so"]
    assert "(musl for `model.so`" in (tmp_path / "out" / "README.md").read_text()
    app = program_with_archive(tmp_path / "out", "rpi4", tmp_path)
    with torch.no_grad():
        expected = NET(*X).numpy()
    assert error(run([*board("rpi4"), str(app)], *X, threads=1, shape=expected.shape), expected) <= 1e-4


def test_why_a_library_is_not_loaded_here():
    """Where only the C library differs, a report does not blame the processor."""
    compiled = sparsecc.compile(NET, "x86-64-v3-musl", example_inputs=X, threads=1)
    assert "a library for musl can't be loaded here" in compiled.report.compared


@pytest.fixture
def ndk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as an NDK has it, in the environment."""
    folder = tmp_path / "ndk" / "toolchains" / "llvm" / "prebuilt" / "linux-x86_64" / "bin"
    folder.mkdir(parents=True)
    for name, text in {
        "aarch64-linux-android24-clang": _FAKE.format(python=sys.executable, log=str(tmp_path / "log")),
        "llvm-ar": f'#!/bin/sh\nexec {sys.executable} -m ziglang ar "$@"\n',
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.delenv("SPARSECC_CC", raising=False)
    monkeypatch.setenv("ANDROID_NDK_ROOT", str(tmp_path / "ndk"))
    return folder


def test_a_library_for_android(ndk, tmp_path):
    """By the NDK's compiler, without a library for threads, for pages of 16 KiB; code leaves x18 to the system."""
    compiled = sparsecc.compile(NET, "cortex-a55-android24", example_inputs=X, threads=1, verify=False)
    compiled.save(tmp_path / "model.so")
    compiled.save(tmp_path / "model.a")
    said = (tmp_path / "log").read_text()
    assert "-Wl,-z,max-page-size=16384" in said
    assert "-lm" in said
    assert "-lpthread" not in said
    subprocess.run([sys.executable, "-m", "ziglang", "ar", "x", "model.a", "model_kernels.o"], cwd=tmp_path, check=True)
    words = [program(f"{debian_triple('rpi4')}-objdump"), "-d", "--no-show-raw-insn", str(tmp_path / "model_kernels.o")]
    code = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "fmla" in code
    assert not re.search(r"\b[xw]18\b", code)
    assert find_compiler(None, triple="aarch64-linux-android24").archive == (str(ndk / "llvm-ar"),)


def test_static_programs_for_android_need_no_ndk(monkeypatch):
    for name in ("ANDROID_NDK_ROOT", "ANDROID_NDK_HOME", "ANDROID_NDK", "SPARSECC_CC"):
        monkeypatch.delenv(name, raising=False)
    assert "musl" in " ".join(find_compiler(None, triple="aarch64-linux-android24", programs=True).compile)
    with pytest.raises(ToolchainError, match="no C compiler for Android: found no NDK; set ANDROID_NDK_ROOT"):
        find_compiler(None, triple="aarch64-linux-android24")


def test_an_ndk_without_the_level(ndk):
    with pytest.raises(ToolchainError, match=r"no .*/aarch64-linux-android30-clang in .*ndk, which ANDROID_NDK_ROOT"):
        find_compiler(None, triple=resolve("rpi4-android30").triple)


def test_every_target_has_a_library_for_musl():
    assert all(resolve(f"{name}-musl").triple.split("-")[2].startswith("musl") for name in TARGETS)
