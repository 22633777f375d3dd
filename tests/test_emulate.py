"""What an emulator and models say of code: counts, misses of caches that are described, cycles by rules."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tuning_case import emulator, program

from bench.arm.mca import instructions
from bench.emulate import in_order
from bench.emulate.__main__ import main
from bench.emulate.blocks import Block, EmulationError, run
from bench.emulate.code import count_kinds, kind_of, texts
from bench.emulate.cycles import with_memory
from bench.emulate.ours import InputError, link
from sparsecc.target.hardware import Cache
from sparsecc.target.hardware_arm import HARDWARE

A72, A53 = HARDWARE["cortex-a72"], HARDWARE["cortex-a53"]
#: reads SIZE bytes from the first, a line at a time: in order, or each 67th line in turn
WALK = """\
#include <stdlib.h>
#include <unistd.h>
int main(void) {
  static volatile char x[SIZE] __attribute__((aligned(64)));
  for (int turn = 0; turn < 2; ++turn) {
    if (turn) getppid();
    for (long i = 0; i < SIZE / 64; ++i) (void)x[i * STEP % (SIZE / 64) * 64];
  }
  getppid();
  return EXIT;
}
"""


def built(folder: Path) -> None:
    compiler = program("aarch64-linux-gnu-gcc")
    subprocess.run([compiler, "-O1", "-static", "walk.c", "-o", "walk"], cwd=folder, check=True)


def walk(folder: Path, *, size: int, step: int = 1, code: int = 0) -> list[str]:
    emulator("qemu-aarch64")
    program("gcc")
    text = WALK.replace("SIZE", str(size)).replace("STEP", str(step)).replace("EXIT", str(code))
    (folder / "walk.c").write_text(text)
    built(folder)
    return ["./walk"]


def misses(blocks: list[Block], level: int) -> tuple[int, int]:
    return sum(b.foreseen[level] for b in blocks), sum(b.unforeseen[level] for b in blocks)


def test_misses_of_caches(tmp_path):
    """What fits hits; a stream that doesn't is foreseen, lines in no order are not."""
    lines = (64 << 10) // 64
    blocks = run(walk(tmp_path, size=64 << 10), A72, folder=tmp_path)
    foreseen, unforeseen = misses(blocks, 0)
    assert lines <= foreseen + unforeseen < lines + 60
    assert foreseen > 0.95 * lines
    assert sum(misses(blocks, 1)) < 60
    large = replace(A72, caches=(Cache(128 << 10, 2, 4), A72.caches[1]))
    assert sum(misses(run(["./walk"], large, folder=tmp_path), 0)) < 60
    foreseen, unforeseen = misses(run(walk(tmp_path, size=64 << 10, step=67), A72, folder=tmp_path), 0)
    assert unforeseen > 0.9 * lines


def test_programs_that_fail(tmp_path):
    with pytest.raises(EmulationError, match="exit code 3"):
        run(walk(tmp_path, size=4096, code=3), A72, folder=tmp_path)
    (tmp_path / "walk.c").write_text("int main(void) { return 0; }\n")
    built(tmp_path)
    with pytest.raises(EmulationError, match="found 0 marks, expected two"):
        run(["./walk"], A72, folder=tmp_path)


def test_cycles_with_memory():
    """A core in order waits for each line, another has many on their way; foreseen ones come meanwhile."""
    block = Block(0, 0, bytes(4), 1, 0, (100, 0), (10, 0))
    assert with_memory(block, 1000.0, A53) == 1000 + 10 * (15 - 3)
    assert with_memory(block, 100.0, A53) == 100 * A53.line_cycles[0] + 10 * (15 - 3)
    assert with_memory(block, 1000.0, A72) == 1000 + 10 * A72.line_cycles[0]
    far = Block(0, 0, bytes(4), 1, 0, (0, 0), (10, 10))
    assert with_memory(far, 0.0, A53) == 10 * (A53.memory_latency - 3)


def fmlas(count: int) -> list[str]:
    return [f"fmla\tv{i}.4s, v30.4s, v31.s[0]" for i in range(count)]


@pytest.mark.parametrize(
    ("code", "cycles"),
    [
        (fmlas(16), 16),
        (["ldr\tq0, [x0]"], 2),
        (["ldp\tq0, q1, [x0]"], 4),
        (["ldr\td0, [x0]", "ins\tv1.d[1], x0"], 1),
        (["ldr\td0, [x0]", "ins\tv0.d[1], x0"], 2),
        (["fadd\tv1.4s, v2.4s, v3.4s", "ldr\td0, [x0]"], 2),
        (["fadd\tv1.4s, v2.4s, v3.4s", "ldr\tx0, [x1]"], 1),
        (["fadd\tv0.2s, v2.2s, v3.2s", "ldr\td1, [x0]"], 1),
        (["ins\tv0.d[1], x0", "ins\tv1.d[1], x1"], 1),
        (["fadd\tv0.4s, v2.4s, v3.4s", "str\tq1, [x0]"], 2),
    ],
)
def test_rules_that_were_measured_on_a_cortex_a53(code, cycles):
    assert in_order.cycles(code, "cortex-a53") == cycles


def test_a_loop_of_a_compiler_is_read_by_the_same_rules():
    """Labels, directives and comments take no cycle."""
    loop = [
        ".LBB0_1:",
        "\t.p2align\t4",
        "\tldr\tq0, [x0]  // 16-byte Folded Reload",
        *(f"\t{line}" for line in fmlas(16)),
    ]
    assert instructions(loop) == ["ldr\tq0, [x0]", *fmlas(16)]
    assert in_order.cycles(instructions(loop), "cortex-a53") == in_order.cycles(
        ["ldr\tq0, [x0]", *fmlas(16)], "cortex-a53"
    )


def test_a_load_among_multiply_adds_waits_on_a_cortex_a53():
    """It starts no four cycles after one that adds up; on A55 and in groups it costs less."""
    spread = [
        line for i, fmla in enumerate(fmlas(24)) for line in ([fmla] if i % 6 else [fmla, f"ldr\tq{26 + i // 6}, [x0]"])
    ]
    group = [*(f"ldr\tq{26 + i}, [x0]" for i in range(4)), *fmlas(24)]
    assert in_order.cycles(spread, "cortex-a53") > 1.2 * in_order.cycles(group, "cortex-a53")
    assert in_order.cycles(spread, "cortex-a55") <= in_order.cycles(group, "cortex-a55")


def test_halves_beside_multiply_adds():
    """Why hand-written loops load halves: 128 bits cost two cycles, halves one on Cortex-A53, none on A55."""
    whole, halves = [], []
    for i, fmla in enumerate(fmlas(24)):
        whole.append(fmla)
        halves.append(fmla)
        if i % 6 == 2:
            whole.append(f"ldr\tq{26 + i // 6}, [x0, #{16 * i}]")
            halves += [f"ldr\td{26 + i // 6}, [x0, #{16 * i}]"]
        if i % 6 == 3:
            halves.append(f"ldr\tx{10 + i // 6}, [x0, #{16 * i}]")
        if i % 6 == 5 and i < 24:
            halves.append(f"ins\tv{26 + i // 6}.d[1], x{10 + i // 6}")
    for core, gain in (("cortex-a53", 1.05), ("cortex-a55", 1.25)):
        assert in_order.cycles(whole, core) > gain * in_order.cycles(halves, core)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("fmla\tv0.4s, v1.4s, v2.s[0]", "multiply-adds"),
        ("fmul\tv0.4s, v1.4s, v2.4s", "vector arithmetic"),
        ("ldr\tq0, [x0, #16]", "vector loads"),
        ("ld1r\t{ v0.4s }, [x0]", "vector loads"),
        ("stp\tq0, q1, [x0]", "vector stores"),
        ("ldp\tx0, x1, [sp]", "scalar loads"),
        ("str\tw0, [x1]", "scalar stores"),
        ("b.ne\t#-24", "branches"),
        ("add\tx0, x0, #16", "scalar arithmetic"),
    ],
)
def test_kinds(text, kind):
    assert kind_of(text) == kind


def test_disassembly():
    """Words that are no instruction do not shift the others."""
    program("llvm-mc")
    code = bytes.fromhex("1f2003d5") + b"\xff\xff\xff\xff" + bytes.fromhex("20cc214e")
    block = Block(0, 0, code, 3, 0, (0,), (0,))
    names = texts([block])
    assert names[code[8:]] == "fmla\tv0.4s, v1.4s, v1.4s"
    assert count_kinds([block], names) == {"scalar arithmetic": 6, "multiply-adds": 3}


def test_nothing_to_emulate(tmp_path, capsys):
    for tool in ("llvm-mc", "llvm-mca", "qemu-aarch64"):
        program(tool)
    assert main([str(tmp_path)]) == 2
    assert "found no archive (.a) with its header (.h)" in capsys.readouterr().err
    (tmp_path / "x.c").write_text("int f(void) { return 0; }\n")
    subprocess.run(["gcc", "-c", "x.c", "-o", "model.a"], cwd=tmp_path, check=True)
    (tmp_path / "model.h").write_text("")
    with pytest.raises(InputError, match="found Advanced Micro Devices X86-64, expected AArch64"):
        link(tmp_path, tmp_path)


def test_a_library(tmp_path, tiny_folder, capsys):
    """All that ran, by step; the counts are those of the other tool."""
    for tool in ("llvm-mc", "llvm-mca", "qemu-aarch64"):
        program(tool)
    assert main([str(tiny_folder("rpi4")), "--core", "cortex-a72", "--steps", "3"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    heads, _, total, *steps = rows
    assert heads[1] == "instructions"
    assert float(total[1]) > 0.05
    assert steps[0][0].startswith("| model_")
    assert float(steps[0][-1].rstrip(" |")) <= float(total[-1].rstrip(" |"))
