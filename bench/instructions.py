"""Instructions that a board would run for a network, counted by an emulator: ``python -m bench.instructions``.

A measure that no other load on the machine disturbs: to be compared with that of another version of the compiler, not
with another processor's. QEMU's user-mode emulator (Debian's package qemu-user) runs a static program of the network
once and three times; half of the difference is a run.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nets
import torch

import sparsecc
from bench.markdown import table
from sparsecc.build.toolchain import find_compiler
from sparsecc.compiled import Compiled
from sparsecc.target import TARGETS

_SOURCES = Path(__file__).parent / "csrc"


def instructions(compiled: Compiled, folder: Path) -> int:
    """Instructions of one run in one thread; ``folder`` for what is made on the way."""
    triple = TARGETS[compiled.target].triple
    emulator = "qemu-aarch64" if triple.startswith("aarch64") else "qemu-arm"
    compiled.save(folder / "model.a")
    shutil.copy(_SOURCES / "repeat.c", folder)
    program = find_compiler(None, triple=triple, programs=True)
    program.run(("repeat.c", "model.a", "-lm", "-lpthread", "-o", "repeat"), folder=folder)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", str(_SOURCES / "count.c"), "-o", "count.so"], cwd=folder, check=True
    )
    once, thrice = (_count(emulator, folder, runs) for runs in (1, 3))
    return (thrice - once) // 2


def _count(emulator: str, folder: Path, runs: int) -> int:
    command = [emulator, "-plugin", str(folder / "count.so"), "-d", "plugin", str(folder / "repeat"), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"instructions (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table."""
    p = argparse.ArgumentParser(
        prog="python -m bench.instructions", description="Instructions of a run, by an emulator."
    )
    p.add_argument("--boards", nargs="+", default=["rpi2", "rpi3", "rpi4"], choices=list(TARGETS))
    p.add_argument("--nets", nargs="+", default=["mobilenet_v2", "resnet18"], choices=list(nets.NETS))
    p.add_argument("--size", type=int, default=64, help="pixels (default: %(default)s)")
    options = p.parse_args(arguments)
    rows = []
    for name in options.nets:
        x = torch.zeros(1, 3, options.size, options.size)
        for n, sparsity in ((4, 0.75), (16, 0.75), (1, 0.0)):
            model = nets.build(name)
            if sparsity:
                nets.impose_1xn(model, n, sparsity)
            for board in options.boards:
                with TemporaryDirectory() as folder:
                    count = instructions(sparsecc.compile(model, board, example_inputs=(x,)), Path(folder))
                pattern = f"1x{n} {sparsity:.0%}" if sparsity else "dense"
                macs = nets.multiply_adds(model, x)
                rows.append([name, pattern, board, f"{count / 1e6:.1f} M", f"{count / macs:.2f}"])
    print(
        table(["network", "pattern", "board", "instructions of a run", "for a multiply-add of the dense network"], rows)
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
