"""What the code generator made of the kernels, for processors that this machine need not be."""

from __future__ import annotations

import re

import nets
import numpy as np
import pytest
import torch
from case_modules import SideBySide, inputs_of
from cases import Case
from torch import nn

from sparsecc._codegen import compile_object
from sparsecc.importer import import_model
from sparsecc.ir.conv import ConvSpec
from sparsecc.kernels.channel_lanes import LaneConfig
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite, run
from sparsecc.target import TARGETS
from sparsecc.target.x86 import X86
from sparsecc.tuning.tasks import find_tasks

#: stores for a multiply-add that cost nothing beside it
_FEW_STORES = 0.05
REGISTER = {"x86-64-v3": "ymm", "x86-64-v4": "zmm"}
SPEC = {
    "1x1": ConvSpec(1, 64, 28, 28, 64),
    "3x3": ConvSpec(1, 64, 28, 28, 64, 3, 3, padding=(1, 1, 1, 1)),
}


def assembly_of(model, inputs, target: str, folder) -> str:
    run(model.eval(), inputs, TARGETS[target], Options(dump=folder, min_speedup=1e-9, winograd=False), progress=str)
    return (folder / "14_build.s").read_text()


def functions(assembly: str) -> dict[str, list[str]]:
    """Symbol -> its lines; the bodies of parallel loops are functions of their own."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in assembly.splitlines():
        label = re.match(r"([A-Za-z_][\w.]*):", line)
        if label and not line.startswith(".L"):
            name = label[1]
        found.setdefault(name, []).append(line)
    return found


def loops(lines: list[str]) -> list[list[str]]:
    """Innermost loops: from a label to the first jump back to it, with no label between."""
    starts: dict[str, int] = {}
    found = []
    for number, line in enumerate(lines):
        if label := re.match(r"(\.L\w+):", line):
            starts = {label[1]: number}
        elif (jump := re.match(r"\s+j\w+\s+(\.L\w+)", line)) and jump[1] in starts:
            found.append(lines[starts[jump[1]] : number + 1])
    return found


def fmas(lines: list[str]) -> list[str]:
    return [line for line in lines if "vfmadd" in line]


@pytest.mark.parametrize("target", X86)
@pytest.mark.parametrize("kernel", SPEC)
@pytest.mark.parametrize("block_n", [4, 8, 16])
def test_inner_loop(target, kernel, block_n, tmp_path):
    """Fused multiply-adds on full registers, loads and loop control: no spills, no calls, no gathers."""
    case = Case(f"assembly_{kernel}_{block_n}", SPEC[kernel], block_n=block_n, density=0.25)
    assembly = assembly_of(SideBySide([case]), inputs_of([case]), target, tmp_path)
    inner = max((loop for lines in functions(assembly).values() for loop in loops(lines)), key=lambda s: len(fmas(s)))
    register = REGISTER[target]
    assert len(fmas(inner)) >= 8 * SPEC[kernel].taps
    assert all(f"%{register}" in line and "ss\t" not in line for line in fmas(inner))
    text = "\n".join(inner)
    assert "call" not in text
    assert "gather" not in text
    stores = [line for line in inner if re.search(rf"mov\w*\s+%{register}\d+, -?\d*\(%", line)]
    assert not stores, "accumulators are spilled"


#: images whose tiles have some pixels, or several whole rows: kernels that neighbouring taps share many pixels in
TILED = {"wide": (3, 28, 28), "whole": (3, 7, 7), "tens": (3, 5, 20), "large": (5, 8, 16)}


@pytest.mark.parametrize("target", X86)
def test_channels_as_the_vector(target):
    """Sums stay in registers whatever the tile: no tap stores one, or a pixel that a later tap needs."""
    found = {}
    for name, (k, height, width) in TILED.items():
        lanes = TARGETS[target].lanes
        model = torch.nn.Conv2d(16, 2 * lanes, k, padding=k // 2)
        imported = import_model(model.eval(), (torch.zeros(1, 16, height, width),))
        plan = analyse(imported, TARGETS[target], Options(winograd=False))
        task = find_tasks(rewrite(imported, plan, TARGETS[target]), TARGETS[target])[0]
        kernels = {c: c.kernel for c in task.space if isinstance(c.kernel, LaneConfig)}
        for config, kernel in kernels.items():
            found[f"{name}_{kernel.rows}_{kernel.cols}_{kernel.prefetch}"] = task.lower(config).function
    assembly = compile_object(found, TARGETS[target].llvm).assembly
    inner = [loop for lines in functions(assembly).values() for loop in loops(lines) if len(fmas(loop)) >= 6]
    assert len(inner) >= len(found) >= len(TILED)
    stores = re.compile(rf"\s+vmov\w+\s+%{REGISTER[target]}\d+, -?\d*\(%")
    spilled = [loop for loop in inner if sum(bool(stores.match(line)) for line in loop) > _FEW_STORES * len(fmas(loop))]
    assert not spilled, "sums or pixels are kept in memory"


class ChoosesByNaN(torch.nn.Module):
    """All that asks what is not a number: maxima, comparisons, choices."""

    def forward(self, x, y):
        """Images of many vectors."""
        larger = nn.functional.max_pool2d(x, 3, 1, 1) + x.amax(1, keepdim=True)
        return larger, torch.where(torch.isnan(x), y, x), torch.where(x == y, x, y)


@pytest.mark.parametrize("target", X86)
def test_choices_by_nan_are_of_vectors(target, tmp_path):
    """TVM's vectorizer took the question for one that each lane asks by itself: pooling took four times as long."""
    assembly = assembly_of(ChoosesByNaN(), (torch.zeros(1, 8, 32, 32),) * 2, target, tmp_path)
    asked = re.findall(r"\n\s+vcmpunord[ps]s\s+(.*)", assembly)
    assert asked
    assert all(f"%{REGISTER[target]}" in operands for operands in asked), asked
    assert "vucomiss" not in assembly


@pytest.mark.parametrize(("rows", "cols"), [(1, 28), (1, 17), (4, 7), (2, 8)])
def test_registers_for_shared_pixels(rows, cols):
    """Up to 17 sums leave room for the pixels that the taps of a 3x3 kernel share; one tap shares none."""
    config = LaneConfig(16, rows, cols)
    assert config.shares_pixels((1, 1), rows=rows)
    assert config.shares_pixels((3, 3), rows=rows) == (config.pixels <= 17)


#: how ARM cores add a product to a whole vector, and how they store one
ARM_FMA = {64: r"\s+fmla\s+v\d+\.4s", 32: r"\s+vfma\.f32\s+q\d+"}
ARM_STORE = {64: r"\s+(str|stur|stp)\s+q", 32: r"\s+(vst1\.\d+|vstmia|vstr)\s"}


def arm_loops(assembly: str) -> list[list[str]]:
    """Innermost loops of ARM code."""
    lines, found = assembly.splitlines(), []
    labels = {match[1]: i for i, line in enumerate(lines) if (match := re.match(r"(\.LBB\w+):", line))}
    branch = re.compile(r"\s+(?:b\.?\w*|cbn?z\s+\w+,)\s+(\.LBB\w+)\s*$")
    for number, line in enumerate(lines):
        jump = branch.match(line)
        body = lines[labels[jump[1]] + 1 : number + 1] if jump and labels.get(jump[1], number) < number else []
        if body and not any(branch.match(inner) for inner in body[:-1]):
            found.append(body)
    return found


@pytest.mark.parametrize("target", ["rpi2", "rpi3", "rpi4", "rpi4-32", "rpi5"])
@pytest.mark.parametrize("kernel", SPEC)
@pytest.mark.parametrize("block_n", [4, pytest.param(8, marks=pytest.mark.slow), 16])
def test_inner_loop_on_arm(target, kernel, block_n, tmp_path):
    """The same on boards; Cortex-A7 gets fused multiply-adds, too."""
    case = Case(f"assembly_{kernel}_{block_n}", SPEC[kernel], block_n=block_n, density=0.25)
    assembly = assembly_of(SideBySide([case]), inputs_of([case]), target, tmp_path)
    bits = 64 if TARGETS[target].registers == 32 else 32
    fma = re.compile(ARM_FMA[bits])
    inner = max(arm_loops(assembly), key=lambda loop: sum(bool(fma.match(line)) for line in loop))
    code = [line for line in inner if re.match(r"\s+[a-z]", line)]
    fused = [line for line in code if fma.match(line)]
    assert len(fused) >= 8 * SPEC[kernel].taps
    vector = [line for line in code if re.match(r"\s+v[a-z]" if bits == 32 else r".*\s[qv]\d", line)]
    assert len(fused) >= 0.6 * len(vector)
    assert not [line for line in code if re.match(ARM_STORE[bits], line)], "accumulators are spilled"
    assert not [line for line in code if re.match(r"\s+(bl|blx|blr)\s", line)]
    assert not [line for line in code if re.match(r"\s+(vmul|vmla|vadd|fmul|fadd|fmadd)", line)]


@pytest.mark.parametrize("target", X86)
@pytest.mark.parametrize(
    "net",
    ["mobilenet_v3_small", *(pytest.param(n, marks=pytest.mark.slow) for n in ("densenet121", "shufflenet_v2"))],
)
def test_every_kernel_has_vectors(net, target, tmp_path):
    """No loop over floats is left to scalar code: what is scalar is a handful of instructions at most."""
    assembly = assembly_of(nets.build(net, width=0.25), (torch.zeros(1, 3, 64, 64),), target, tmp_path)
    for name, lines in functions(assembly).items():
        scalar = [line for line in lines if re.match(r"\s+v(add|mul|fmadd\w+|max|min|sub|div)ss\s", line)]
        packed = [line for line in lines if re.match(r"\s+v\w+ps\s", line)]
        assert len(scalar) <= max(32, len(packed)), name


def test_same_code_twice():
    model = nets.build("squeezenet", width=0.25)
    x = (torch.zeros(1, 3, 64, 64),)
    first, _ = run(model, x, TARGETS["x86-64-v3"], Options(), progress=str)
    again, _ = run(model, x, TARGETS["x86-64-v3"], Options(), progress=str)
    assert first.kernels == again.kernels
    assert all(np.array_equal(a, b) for a, b in zip(first.program.weights, again.program.weights, strict=True))
