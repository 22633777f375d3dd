"""Networks for other machines are compared with PyTorch: in an emulator, or as kernels built for this machine."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import random_inputs
from torch import Tensor, nn
from tuning_case import emulator, example, tiny_net

import sparsecc
from sparsecc.errors import TargetError, ToolchainError, VerificationError
from sparsecc.options import Options
from sparsecc.pipeline import run
from sparsecc.rewrite import fuse
from sparsecc.target import TARGETS
from sparsecc.verify import Verified, check_elsewhere, elsewhere
from sparsecc.verify.emulator import Emulator, find_emulator

TOLERANCE = 1e-4
QEMU = {"rpi4": "qemu-aarch64", "rpi2": "qemu-arm"}


@pytest.fixture(scope="module")
def for_rpi4():
    return run(tiny_net(), example(), TARGETS["rpi4"], Options(), progress=str)


@pytest.fixture(params=["emulator", "no emulator"])
def way(request, monkeypatch) -> str:
    """What ``compared`` begins with."""
    if request.param == "emulator":
        emulator("qemu-aarch64"), emulator("qemu-arm")
        return "in an emulator"
    monkeypatch.setattr(elsewhere, "find_emulator", lambda target: None)
    return "same kernels built for this machine: no emulator for "


def verified(artefact, imported):
    return check_elsewhere(artefact, imported, tolerance=TOLERANCE, cc=None)


def broken(artefact, key: str):
    """The artefact with the weights of one layer changed."""
    step = next(step for step in artefact.program.steps if step.key == key)
    weights = list(artefact.program.weights)
    index = next(r.index for r in step.args if r.place == "weight" and weights[r.index].dtype == np.float32)
    weights[index] = weights[index] * np.float32(1.5)
    return replace(artefact, program=replace(artefact.program, weights=tuple(weights)))


def test_right_networks_pass_and_wrong_layers_are_named(for_rpi4, way):
    artefact, imported = for_rpi4
    found = verified(artefact, imported)
    assert found.compared.startswith(way)
    assert found.error < 1e-5
    with pytest.raises(VerificationError, match=r"\(" + way + ".*first layer that differs is pointwise "):
        verified(broken(artefact, "pointwise"), imported)


def test_32_bit_networks():
    emulator("qemu-arm")
    artefact, imported = run(tiny_net(), example(), TARGETS["rpi2"], Options(), progress=str)
    assert verified(artefact, imported).compared == "in an emulator: qemu-arm"
    with pytest.raises(VerificationError, match=r"\(in an emulator: qemu-arm\); the first layer that differs is conv"):
        verified(broken(artefact, "conv"), imported)


class Rows(nn.Module):
    """A constant is added along axis 1 of a linear layer's result of rank 4."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + torch.arange(7.0).reshape(7, 1, 1)


def test_a_wrong_rule_of_fusion_is_found(way, monkeypatch):
    x = random_inputs((1, 7, 1, 8))
    assert sparsecc.compile(Rows(), "rpi3", example_inputs=x).report.compared.startswith(way)
    monkeypatch.setattr(fuse, "channel_axis", lambda spec, shape: 1 if len(shape) == 4 else len(shape) - 1)
    with pytest.raises(VerificationError, match="first layer that differs is linear"):
        sparsecc.compile(Rows(), "rpi3", example_inputs=x)


def test_report_says_how(capsys, monkeypatch):
    emulator("qemu-aarch64")
    report = sparsecc.compile(tiny_net(), "rpi4", example_inputs=example()).report
    line = f"largest difference from PyTorch: {report.error:.1e} of the largest output (in an emulator: qemu-aarch64)"
    assert line in str(report)
    assert report.to_json()["compared"] == "in an emulator: qemu-aarch64"
    assert line in str(type(report).from_json(report.to_json()))


@pytest.mark.parametrize("target", ["native", "rpi4"])
def test_report_says_that_nothing_was_compared(target):
    report = sparsecc.compile(tiny_net(), target, example_inputs=example(), verify=False).report
    assert "not compared with PyTorch: verify=False" in str(report)
    assert (report.to_json()["error"], report.to_json()["compared"]) == (None, "verify=False")


def test_native_needs_no_words():
    report = sparsecc.compile(tiny_net(), example_inputs=example()).report
    assert f"largest difference from PyTorch: {report.error:.1e} of the largest output\n" in f"{report}\n"
    assert report.compared == "on this machine"


def not_built(monkeypatch) -> None:
    """The second way gives its reason."""
    monkeypatch.setattr(elsewhere, "check_rebuilt", lambda *artefact, why, **options: Verified(0.0, why))


def test_networks_that_are_too_large_for_an_emulator(for_rpi4, monkeypatch):
    emulator("qemu-aarch64")
    monkeypatch.setattr(elsewhere, "MOST_MACS", 1000)
    found = verified(*for_rpi4)
    assert found.compared == ("same kernels built for this machine: too large for qemu-aarch64: 0.0e9 multiply-adds")
    assert found.error < 1e-5


def fake(folder: Path, script: str, monkeypatch) -> None:
    """An emulator that does what a shell script says; where it can't tell, nothing is built."""
    not_built(monkeypatch)
    path = folder / "qemu-fake"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(elsewhere, "find_emulator", lambda target: Emulator("qemu-fake", (str(path), "-cpu", "max")))


def test_emulators_that_take_too_long(for_rpi4, tmp_path, monkeypatch):
    fake(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(elsewhere, "SECONDS", 0.2)
    assert verified(*for_rpi4).compared == ("qemu-fake took longer than 0 s")


def test_emulators_that_lack_a_feature(for_rpi4, tmp_path, monkeypatch):
    fake(tmp_path, "echo 'model: this processor has no neon' >&2; exit 1", monkeypatch)
    assert verified(*for_rpi4).compared == ("qemu-fake: model: this processor has no neon")


def test_emulators_that_say_nothing(for_rpi4, tmp_path, monkeypatch):
    fake(tmp_path, "exit 3", monkeypatch)
    assert verified(*for_rpi4).compared == "qemu-fake: exit code 3"


def test_emulators_that_can_not_be_started(for_rpi4, monkeypatch):
    not_built(monkeypatch)
    monkeypatch.setattr(elsewhere, "find_emulator", lambda target: Emulator("qemu-gone", ("/nonexistent/qemu",)))
    assert "qemu-gone can't be run: No such file" in verified(*for_rpi4).compared


def test_an_instruction_that_the_board_lacks(for_rpi4, tmp_path, monkeypatch):
    fake(tmp_path, "kill -ILL $$", monkeypatch)
    with pytest.raises(VerificationError, match=r"the network for rpi4 ends by SIGILL in .*qemu-fake -cpu max; please"):
        verified(*for_rpi4)


def test_no_program_for_the_emulator(for_rpi4, monkeypatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise ToolchainError("no libc\nmore")

    emulator("qemu-aarch64")
    monkeypatch.setattr("sparsecc.verify.emulator.build_program", fail)
    found = verified(*for_rpi4)
    assert found.compared == (
        "same kernels built for this machine: no program for qemu-aarch64 could be linked (no libc)"
    )


def test_nothing_can_be_run(for_rpi4, monkeypatch):
    monkeypatch.setattr(elsewhere, "find_emulator", lambda target: None)

    def no_library(*args: object, **kwargs: object) -> None:
        raise ToolchainError("no compiler")

    with monkeypatch.context() as patch:
        patch.setattr("sparsecc.artefact.build_library", no_library)
        found = verified(*for_rpi4)
    assert found.error is None
    assert "no emulator for aarch64 on the PATH; no library for this machine could be linked" in found.compared

    def no_target(name: str) -> None:
        raise TargetError("this machine is 'vax'")

    monkeypatch.setattr(elsewhere, "resolve", no_target)
    assert verified(*for_rpi4).compared == "no emulator for aarch64 on the PATH; this machine is 'vax'"


def test_targets_of_this_architecture_with_more_features():
    native = TARGETS["x86-64-v4"]
    target = replace(native, name="future", cpu_features=(*native.cpu_features, "avx1024f"))
    report = sparsecc.compile(tiny_net(), target, example_inputs=example()).report
    assert report.compared == "same kernels built for this machine: this processor lacks what the target has"
    assert report.error < 1e-5


@pytest.mark.parametrize(
    ("target", "core"),
    [("rpi4", "cortex-a72"), ("rpi5", "cortex-a76"), ("rpi2", "cortex-a7"), ("aarch64", "cortex-a53")],
)
def test_the_emulator_is_told_to_be_the_core(target, core):
    emulator(QEMU.get(target, "qemu-aarch64"))
    found = find_emulator(TARGETS[target])
    assert found is not None
    assert found.command[1:] == ("-cpu", core)


def test_cores_that_the_emulator_has_no_name_for():
    emulator("qemu-aarch64")
    found = find_emulator(replace(TARGETS["rpi4"], llvm={**TARGETS["rpi4"].llvm, "mcpu": "cortex-z9"}))
    assert found is not None
    assert found.command[1:] == ("-cpu", "max")


def test_no_emulator_on_the_path(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert find_emulator(TARGETS["rpi4"]) is None
