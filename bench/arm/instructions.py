"""Instructions that a board would run for a network, counted by an emulator: ``python -m bench.arm.instructions``.

Counts, not times: no other load on the machine disturbs them, so they show what a change of the compiler did to the
code; they do not compare processors. QEMU's user-mode emulator (Debian's package qemu-user) runs a static program of a
network once and three times; half of the difference is a run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nets
import torch

import sparsecc
from bench.cells.work import count_work
from bench.command import add_patterns, parser_of
from bench.results.schema import Cell
from bench.showing.markdown import percent, table
from sparsecc.build.toolchain import find_compiler
from sparsecc.compiled import Compiled
from sparsecc.target import TARGETS
from sparsecc.target.arm import ARM

_SOURCES = Path(__file__).parent / "csrc"
_HEADS = ["network", "pattern", "board", "instructions of a run", "for a kept multiply-add",
          "fused multiply-adds of vectors among them"]  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """Instructions of one run in one thread, and the fused multiply-adds of four floats among them."""

    instructions: int
    fused: int


def count(compiled: Compiled, folder: Path) -> Counts:
    """Run a network in an emulator; ``folder`` for what is made on the way."""
    triple = TARGETS[compiled.target].triple
    emulator = "qemu-aarch64" if triple.startswith("aarch64") else "qemu-arm"
    compiled.save(folder / "model.a")
    shutil.copy(_SOURCES / "repeat.c", folder)
    program = find_compiler(None, triple=triple, programs=True)
    program.run(("-O2", "repeat.c", "model.a", "-lm", "-lpthread", "-o", "repeat"), folder=folder)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", str(_SOURCES / "count.c"), "-o", "count.so"], cwd=folder, check=True
    )
    once, thrice = (_count(emulator, folder, runs) for runs in (1, 3))
    return Counts((thrice.instructions - once.instructions) // 2, (thrice.fused - once.fused) // 2)


def _count(emulator: str, folder: Path, runs: int) -> Counts:
    command = [emulator, "-plugin", str(folder / "count.so"), "-d", "plugin", str(folder / "repeat"), str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"instructions (\d+)\s+fused (\d+)", done.stderr)
    assert found is not None, done.stderr
    return Counts(int(found[1]), int(found[2]))


def _row(name: str, n: int, sparsity: float, board: str, *, size: int) -> list[str]:
    """A line of the table; no sparsity: the dense network."""
    model, x = nets.build(name), torch.zeros(1, 3, size, size)
    if sparsity:
        nets.impose_1xn(model, n, sparsity)
    with TemporaryDirectory() as folder:
        found = count(sparsecc.compile(model, board, example_inputs=(x,)), Path(folder))
    kept = count_work(model, x, {}, n=n).kept_macs
    counts = [f"{found.instructions / 1e6:.1f} M", f"{found.instructions / kept:.2f}"]
    return [name, Cell(name, n, sparsity).pattern, board, *counts, percent(found.fused / found.instructions)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table."""
    p = parser_of("arm.instructions", "Instructions of a run, by an emulator.")
    p.add_argument("--boards", nargs="+", default=["rpi2", "rpi4"], choices=list(ARM))
    p.add_argument("--nets", nargs="+", default=["mobilenet_v2", "resnet18"], choices=list(nets.NETS))
    add_patterns(p, sparsity=(0.0, 0.5, 0.9))
    p.add_argument("--size", type=int, default=64, help="pixels (default: %(default)s)")
    options = p.parse_args(arguments)
    patterns = dict.fromkeys((n if sparsity else 1, sparsity) for n in options.n for sparsity in options.sparsity)
    print(
        table(
            _HEADS,
            (
                _row(name, n, sparsity, board, size=options.size)
                for name in options.nets
                for n, sparsity in sorted(patterns, key=lambda pattern: (pattern[1] > 0, pattern))
                for board in options.boards
            ),
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
