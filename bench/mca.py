"""What a model of ARM cores says of the inner loops: ``python -m bench.mca``. An estimate, not a measurement.

Kernels of the cost model's configs are compiled for each board, the loop with the most multiply-adds is taken out of
the assembly and given to ``llvm-mca`` (Debian's package llvm), all data in the first cache. The share is the cycles
that its multiply-adds need at least, by the same model, over the cycles it predicts. Cortex-A72 and A76 have no model
of their own in LLVM 14: that of Cortex-A57 stands in, with one multiply-add a cycle.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from bench.markdown import table
from sparsecc._tvm import compile_object
from sparsecc.dump import Dump
from sparsecc.importer import import_model
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite
from sparsecc.target import TARGETS, Target
from sparsecc.tuning.tasks import Task, find_tasks

_ITERATIONS = 200
#: board -> LLVM's processor, and the multiply-adds of four floats that its model starts in a cycle
_CORES = {"rpi3": ("cortex-a53", 1), "rpi4": ("cortex-a72", 1), "rpi5": ("cortex-a76", 1)}
_LABEL, _BRANCH = re.compile(r"^(\.LBB\w+):"), re.compile(r"^\s+(?:b\.?\w*|cbn?z\s+\w+,|tbn?z\s+.*,)\s+(\.LBB\w+)\s*$")


def layer(n: int, kernel: int, target: Target) -> Task:
    """A convolution of 128 to 128 channels on 28x28 pixels, 1xN at 75 %."""
    torch.manual_seed(0)
    conv = nn.Conv2d(128, 128, kernel, padding=kernel // 2).eval()
    kept = np.repeat(np.random.default_rng(0).random((128 // n, 128)) < 0.25, n, axis=0)
    conv.weight.data *= torch.from_numpy(kept[:, :, None, None])
    imported = import_model(nn.Sequential(conv, nn.ReLU()), (torch.zeros(1, 128, 28, 28),))
    plan = analyse(imported, target, Options(winograd=False))
    tasks = find_tasks(rewrite(imported, plan, target, Dump(None)), plan, target)
    return next(task for task in tasks if task.key.kind == "conv")


def inner_loop(assembly: str) -> list[str]:
    """The innermost loop with the most multiply-adds."""
    return max(_loops(assembly.splitlines()), key=lambda loop: (fmas(loop), -len(loop)))


def fmas(loop: Sequence[str]) -> int:
    """Vector multiply-adds."""
    return sum(bool(re.match(r"\s+(fmla|vfma\.f32)\s", line)) for line in loop)


def _loops(lines: Sequence[str]) -> Iterator[list[str]]:
    labels = {match[1]: i for i, line in enumerate(lines) if (match := _LABEL.match(line))}
    for i, line in enumerate(lines):
        match = _BRANCH.match(line)
        start = labels.get(match[1], i) if match else i
        body = lines[start + 1 : i + 1]
        if start < i and not any(_BRANCH.match(inner) for inner in body[:-1]):
            yield list(body)


def cycles(loop: Sequence[str], target: Target, cpu: str) -> float:
    """Cycles of one turn, as llvm-mca predicts."""
    triple = str(target.llvm["mtriple"])
    command = ["llvm-mca", f"-mtriple={triple}", f"-mcpu={cpu}", f"-iterations={_ITERATIONS}"]
    code = "\n".join(line for line in loop if not line.lstrip().startswith((".", "//", "@")))
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=True)
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert found is not None, done.stdout
    return int(found[1]) / _ITERATIONS


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    p = argparse.ArgumentParser(prog="python -m bench.mca", description="Inner loops on models of ARM cores.")
    p.add_argument("--boards", nargs="+", default=list(_CORES), choices=list(_CORES))
    p.add_argument("--show", action="store_true", help="print the loops too")
    options = p.parse_args(arguments)
    if shutil.which("llvm-mca") is None:
        p.error("llvm-mca not found; apt-get install llvm")
    lines = []
    for board in options.boards:
        target, (cpu, rate) = TARGETS[board], _CORES[board]
        for kernel in (1, 3):
            for n in (4, 8, 16):
                task = layer(n, kernel, target)
                _, assembly = compile_object({"kernel": task.lower(task.choice.default).function}, target.llvm)
                loop = inner_loop(assembly)
                if options.show:
                    print("\n".join(loop))
                least, predicted = fmas(loop) / rate, cycles(loop, target, cpu)
                tile = re.sub(r".*\(|\)$", "", str(task.choice.default))
                lines.append([board, cpu, f"{kernel}x{kernel}", str(n), f"{fmas(loop)}", f"{predicted:.1f}",
                              f"{100 * least / predicted:.0f} %", tile])  # fmt: skip
    print(table(["board", "model", "kernel", "N", "multiply-adds", "cycles", "share of the bound", "config"], lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
