"""What models of ARM cores say of the inner loops: ``python -m bench.arm.mca``. An estimate, not a measurement.

Kernels of the cost model's configs are compiled for each board, the loop with the most multiply-adds is taken out of
the assembly and given to ``llvm-mca`` (Debian's package llvm), all data in the first cache. The share is the cycles
that its multiply-adds need at least, by the same model (a stream of independent ones), over the cycles it predicts.
Cortex-A72 and A76 have no model of their own in LLVM 14: that of Cortex-A57 stands in. LLVM 17 and later (``--mca``)
have Neoverse N1, which is Cortex-A76's sibling.

LLVM's model of Cortex-A53 lets results be written in the order of the program only, which the core does not. The last
two columns are by rules that were measured on Cortex-A53 and A55 (``bench/emulate/in_order.py``), for boards whose
core starts instructions in order. 32-bit cores have no such column: there the share of multiply-adds among vector
instructions counts.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from bench.command import parser_of
from bench.emulate import in_order
from bench.showing.markdown import percent, table
from bench.studies.kernels import kernels_of
from sparsecc._codegen import compile_object
from sparsecc.options import Options
from sparsecc.target import TARGETS, Target
from sparsecc.tuning.tasks import KernelTask

_ITERATIONS = 200
#: board -> LLVM's processors for 64-bit code
_CORES = {"rpi2": (), "rpi3": ("cortex-a53",), "rpi4": ("cortex-a72",), "rpi5": ("cortex-a76", "neoverse-n1")}
#: cores in order that were measured, as columns
_MEASURED = ("cortex-a53", "cortex-a55")
_STREAM = [f"\tfmla\tv{n}.4s, v30.4s, v31.4s" for n in range(24)]
_LABEL, _BRANCH = re.compile(r"^(\.LBB\w+):"), re.compile(r"^\s+(?:b\.?\w*|cbn?z\s+\w+,|tbn?z\s+.*,)\s+(\.LBB\w+)\s*$")


def layer(n: int, kernel: int, target: Target) -> KernelTask:
    """A convolution of 128 to 128 channels on 28x28 pixels, 1xN at 75 %."""
    torch.manual_seed(0)
    conv = nn.Conv2d(128, 128, kernel, padding=kernel // 2).eval()
    kept = np.repeat(np.random.default_rng(0).random((128 // n, 128)) < 0.25, n, axis=0)
    conv.weight.data *= torch.from_numpy(kept[:, :, None, None])
    tasks = kernels_of(nn.Sequential(conv, nn.ReLU()), target, Options(winograd=False), channels=128, size=28)
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


def instructions(loop: Sequence[str]) -> list[str]:
    """A loop's instructions, without labels, directives and comments."""
    return [line.split("//")[0].strip() for line in loop if re.match(r"\s+[a-z]", line)]


def share_of_vectors(loop: Sequence[str]) -> float:
    """Multiply-adds among the vector instructions of 32-bit code."""
    return fmas(loop) / sum(bool(re.match(r"\s+v[a-z]", line)) for line in loop)


def share_of_bound(loop: Sequence[str], target: Target, cpu: str, mca: str) -> float:
    """Cycles that the multiply-adds need at least over those of a turn, by llvm-mca."""
    least = cycles(_STREAM, target, cpu, mca) / len(_STREAM)
    return least * fmas(loop) / cycles(loop, target, cpu, mca)


def cycles(loop: Sequence[str], target: Target, cpu: str, mca: str) -> float:
    """Cycles of one turn, as llvm-mca predicts."""
    triple = str(target.llvm["mtriple"])
    command = [mca, f"-mtriple={triple}", f"-mcpu={cpu}", f"-iterations={_ITERATIONS}"]
    code = "\n".join(line for line in loop if not line.lstrip().startswith((".", "//", "@")))
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=True)
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert found is not None, done.stdout
    return int(found[1]) / _ITERATIONS


def _row(board: str, kernel: int, n: int, *, mca: str, show: bool) -> list[str]:
    target = TARGETS[board]
    task = layer(n, kernel, target)
    config = task.choice.default
    loop = inner_loop(compile_object({"kernel": task.lower(config).function}, target.llvm).assembly)
    if show:
        print("\n".join(loop))
    models = ", ".join(f"{cpu} {percent(share_of_bound(loop, target, cpu, mca))}" for cpu in _CORES[board])
    ours = ["", ""]
    if not models:
        models = f"{percent(share_of_vectors(loop))} of vector instructions"
    elif target.in_order:
        ours = [percent(fmas(loop) / in_order.cycles(instructions(loop), core)) for core in _MEASURED]
    tile = f"{config.kernel.vectors} x {config.kernel.reg_n}"
    return [board, f"{kernel}x{kernel}", str(n), tile, str(fmas(loop)), models, *ours]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    p = parser_of("arm.mca", "Inner loops on models of ARM cores.")
    p.add_argument("--boards", nargs="+", default=list(_CORES), choices=list(_CORES))
    p.add_argument("--mca", default="llvm-mca", help="which llvm-mca (default: %(default)s)")
    p.add_argument("--show", action="store_true", help="print the loops too")
    options = p.parse_args(arguments)
    if shutil.which(options.mca) is None:
        p.error(f"{options.mca} not found; apt-get install llvm")
    rows = [
        _row(board, kernel, n, mca=options.mca, show=options.show)
        for board in options.boards
        for kernel in (1, 3)
        for n in (4, 8, 16)
    ]
    heads = ["board", "kernel", "N", "vectors x channels", "multiply-adds", "share of the bound, llvm-mca",
             "Cortex-A53, measured rules", "Cortex-A55"]  # fmt: skip
    print(table(heads, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
