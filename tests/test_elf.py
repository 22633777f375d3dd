"""What ``readelf`` and an assembler say of the files for every preset, and one run of each."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from _pytest.mark import ParameterSet
from boards import CORES, bits, board, debian_triple, error, program_with_archive, run
from tuning_case import example, program, tiny_net

TARGETS = ("x86-64-v3", *CORES)
#: of these, in quick tests, the others speak
SLOW = ("cortex-a73", "cortex-a78", "neoverse-n1")
FILES = ("model.so", "model_bench")

#: architecture -> class and machine
ELF = {"x86": ("ELF64", "Advanced Micro Devices X86-64"), 64: ("ELF64", "AArch64"), 32: ("ELF32", "ARM")}
#: flags of 64 bit; of 32 bit: version 5 of the ABI, floats in registers
FLAGS = {False: {0}, True: {0x5000000, 0x5000400}}
#: what an assembler is told to accept: of a 64-bit core before ARMv8.1 no more than every one has, so no LSE atomics
#: (cas, swp, ldadd), no half floats, no cryptography
ASSEMBLER = {
    "aarch64": ["-march=armv8-a"],
    "rpi3": ["-march=armv8-a"],
    "rpi-zero2": ["-march=armv8-a"],
    "rpi4": ["-march=armv8-a"],
    "rpi5": ["-mcpu=cortex-a76"],
    "cortex-a55": ["-mcpu=cortex-a55"],
    "cortex-a73": ["-march=armv8-a"],
    "cortex-a78": ["-mcpu=cortex-a78"],
    "neoverse-n1": ["-mcpu=neoverse-n1"],
    "armv7": ["-march=armv7-a+idiv", "-mfpu=neon-vfpv4"],
    "rpi2": ["-mcpu=cortex-a7", "-mfpu=neon-vfpv4"],
    "rpi3-32": ["-mcpu=cortex-a7", "-mfpu=neon-vfpv4"],
    "rpi4-32": ["-mcpu=cortex-a7", "-mfpu=neon-vfpv4"],
}


def marked(targets: Iterable[str]) -> list[ParameterSet]:
    return [pytest.param(target, marks=(pytest.mark.slow,) if target in SLOW else ()) for target in targets]


@pytest.fixture(scope="module", params=marked(TARGETS))
def target(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(target: str, tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder(target)


def architecture(target: str) -> str | int:
    return "x86" if target.startswith("x86") else bits(target)


def readelf(path: Path, *options: str) -> str:
    words = [program("readelf"), "-W", *options, str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("file", FILES)
def test_architecture_and_abi(folder, target, file):
    kind, machine = ELF[architecture(target)]
    header = readelf(folder / file, "-h")
    shown = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in header.splitlines() if ":" in line}
    assert (shown["Class"], shown["Machine"]) == (kind, machine)
    assert "little endian" in shown["Data"]
    assert int(shown["Flags"].split(",")[0], 16) in FLAGS[machine == "ARM"]
    if machine == "ARM":  # the flag says so of some files, the attribute of all
        assert "Tag_ABI_VFP_args: VFP registers" in readelf(folder / file, "-A")


@pytest.mark.parametrize("file", FILES)
def test_what_is_needed(folder, file):
    """The C library alone, of 2018 or later; the program needs nothing, not even a loader."""
    needed = set(re.findall(r"NEEDED.*\[(.*?)\]", readelf(folder / file, "-d")))
    assert needed if file == "model.so" else not needed
    assert not [name for name in needed if not re.fullmatch(r"lib(c|m|pthread)\.so\.[06]", name)]
    assert "INTERP" not in readelf(folder / file, "-l")
    floors = re.findall(r"GLIBC_(\d+)\.(\d+)", readelf(folder / file, "-V"))
    assert floors if file == "model.so" else not floors
    assert max(((int(major), int(minor)) for major, minor in floors), default=(2, 0)) <= (2, 28)


@pytest.mark.parametrize("file", FILES)
def test_segments(folder, target, file):
    """No two share a page where pages have 16 KiB (Raspberry Pi 5) or 64 KiB; the stack and data are no code."""
    headers = [line.split() for line in readelf(folder / file, "-l").splitlines()]
    segments = [words for words in headers if words[:1] == ["LOAD"]]
    assert segments
    for words in segments:
        offset, address, align = int(words[1], 16), int(words[2], 16), int(words[-1], 16)
        assert align >= (1 << 12 if architecture(target) == "x86" else 1 << 16)
        assert (address - offset) % align == 0
        assert not {"W", "E"} <= set("".join(words[6:-1]))
    (stack,) = (words for words in headers if words[:1] == ["GNU_STACK"])
    assert "".join(stack[6:-1]) == "RW"
    assert "TEXTREL" not in readelf(folder / file, "-d")


def instructions(path: Path, target: str) -> dict[str, str]:
    """Different instructions of a file, as an assembler takes them -> where each stands."""
    found = {}
    words = [program(f"{debian_triple(target)}-objdump"), "-d", "--no-show-raw-insn", str(path)]
    for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines():
        match = re.match(r"\s+[0-9a-f]+:\t(.*)", line)
        if match is None:
            continue
        code = re.split(r"\s+(?://|[@;])", match[1])[0].strip()
        code = re.sub(r"\b(0x)?[0-9a-f]+ <[^>]*>", ".", code)  # where a jump goes
        code = re.sub(r"^((?:bl?|b\.\w+|t?cbn?z|tbn?z|adrp?)\s(?:.*[\s,])?)0x[0-9a-f]+$", r"\1.", code)
        # the assembler does not know the alignment that it may say there
        code = re.sub(r"^(vld1\.32\s\{.*\[\].*):32\]", r"\1]", code)
        if not code.startswith(".word"):  # constants between functions
            found.setdefault(code, f"{path.name}:{line.strip()}")
    return found


def refused(path: Path, target: str, folder: Path) -> list[str]:
    """Instructions that a core lacks."""
    found = instructions(path, target)
    assert found
    begin = [".arm", ".syntax unified"] if bits(target) == 32 else []
    (folder / "all.s").write_text("\n".join([*begin, *found]) + "\n")
    words = [program(f"{debian_triple(target)}-as"), *ASSEMBLER[target], "all.s", "-o", "all.o"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    lines = [int(number) for number in re.findall(r"^all\.s:(\d+): Error", done.stderr, re.MULTILINE)]
    assert bool(done.returncode) == bool(lines), done.stderr
    return [list(found.values())[number - 1 - len(begin)] for number in lines]


@pytest.mark.parametrize("target", marked(CORES), scope="module")
def test_instructions(folder, target, tmp_path):
    """An emulator sees the instructions that it runs, an assembler for the core all of them.

    In the 32-bit library constants can't be told from code any more, in the archive they can.
    """
    for file in ("model.a", *FILES) if bits(target) == 64 else ("model.a",):
        assert refused(folder / file, target, tmp_path) == []


@pytest.mark.parametrize(
    ("target", "march", "code"),
    [
        ("rpi3", "armv8.1-a", "cas w0, w1, [x2]"),
        ("rpi4", "armv8.1-a", "ldaddal w0, w1, [x2]"),
        ("rpi4", "armv8.2-a+fp16", "fmla v0.8h, v1.8h, v2.8h"),
        ("rpi4", "armv8-a+crypto", "aese v0.16b, v1.16b"),
        ("rpi3", "armv8.2-a+dotprod", "sdot v0.4s, v1.16b, v2.16b"),
    ],
)
def test_what_a_core_lacks_is_found(target, march, code, tmp_path):
    (tmp_path / "more.s").write_text(f"nop\n{code}\nb .\nret\n")
    words = [program(f"{debian_triple(target)}-as"), f"-march={march}", "more.s", "-o", "more.o"]
    subprocess.run(words, cwd=tmp_path, check=True)
    (found,) = refused(tmp_path / "more.o", target, tmp_path)
    assert code.split()[0] in found


def test_the_static_program_runs(folder, target, tmp_path):
    """On an emulated core, with PyTorch's results."""
    command = board(target) if target in CORES else []
    with torch.no_grad():
        expected = tiny_net()(*example()).numpy()
    app = program_with_archive(folder, target, tmp_path)
    found = run([*command, str(app)], *example(), threads=2, shape=expected.shape)
    assert error(found, expected) <= 1e-4
