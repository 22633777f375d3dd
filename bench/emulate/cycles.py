"""Estimated cycles of blocks of code: of their instructions by a model of the core, and of what missed its caches."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from bench.emulate import in_order
from bench.emulate.blocks import Block
from bench.emulate.code import listing
from sparsecc.target.hardware import Hardware

#: a block's cycles are those of its turns between these
_FEW, _MANY = 8, 24
_FEATURES = "-mattr=+v8.2a,+fullfp16,+dotprod,+lse"
#: what llvm-mca refuses, or what says nothing of time
_LEFT_OUT = re.compile(r"(?:svc|mrs|msr|dc|ic|at|tlbi|hint|brk|hlt|udf|isb|dmb|dsb|clrex|sys|bl|blr)\b")
#: share of the instructions that run whose blocks a model is asked about; the rest take as long in the mean
_SHARE = 0.995
_TOTAL = re.compile(r"Code Region - b(\d+)\s.*?Total Cycles:\s+(\d+)", re.DOTALL)


@dataclass(frozen=True)
class Cycles:
    """Cycles of the instructions alone, and with what missed the caches."""

    computing: float
    all: float


def known_models(mca: str) -> frozenset[str]:
    """Cores that an llvm-mca knows."""
    done = subprocess.run([mca, "-mtriple=aarch64", "-mcpu=help"], input="", capture_output=True, text=True)
    return frozenset(re.findall(r"^\s+(\S+)\s+-", done.stderr + done.stdout, re.MULTILINE))


def block_cycles(
    blocks: Sequence[Block], names: dict[bytes, str], hardware: Hardware, *, mca: str
) -> dict[Block, float]:  # fmt: skip
    """Cycles of a run of each block, all data in the first cache."""
    asked = _heaviest(blocks)
    code = {block: [line for line in listing(block, names) if not _LEFT_OUT.match(line)] for block in asked}
    if hardware.in_order:
        found = {block: in_order.cycles(lines, hardware.name) if lines else 0.0 for block, lines in code.items()}
    else:
        found = _by_mca(code, _model(hardware, mca), mca)
    per_instruction = sum(found[b] * b.runs for b in asked) / max(1, sum(b.length * b.runs for b in asked))
    return {block: found.get(block, per_instruction * block.length) for block in blocks}


def with_memory(block: Block, computing: float, hardware: Hardware) -> float:
    """Cycles of all runs of a block, ``computing`` of them without a miss.

    Foreseen lines come while it computes, at the rate of the cache that has them. For the others a core that starts
    instructions in order waits, one after another; another one has as many on their way as it can.
    """
    foreseen = unforeseen = 0.0
    further = (*(cache.latency for cache in hardware.caches[1:]), hardware.memory_latency)
    for level, latency in enumerate(further):
        streamed, jumped = (
            counts[level] - (counts[level + 1] if level + 1 < len(counts) else 0)
            for counts in (block.foreseen, block.unforeseen)
        )
        line = hardware.line_cycles[level]
        foreseen += streamed * line
        alone = latency - hardware.caches[0].latency
        unforeseen += jumped * (alone if hardware.in_order else max(line, alone / hardware.misses))
    return max(computing, foreseen) + unforeseen


def _heaviest(blocks: Sequence[Block]) -> list[Block]:
    left = _SHARE * sum(block.length * block.runs for block in blocks)
    found = []
    for block in sorted(blocks, key=lambda block: -block.length * block.runs):
        if left <= 0:
            break
        found.append(block)
        left -= block.length * block.runs
    return found


def _model(hardware: Hardware, mca: str) -> str:
    known = known_models(mca)
    return next((model for model in hardware.models if model in known), hardware.models[-1])


def _by_mca(code: dict[Block, list[str]], model: str, mca: str) -> dict[Block, float]:
    few, many = (_totals(code, model, mca, turns=turns) for turns in (_FEW, _MANY))
    return {block: (many.get(i, 0) - few.get(i, 0)) / (_MANY - _FEW) for i, block in enumerate(code)}


def _totals(code: dict[Block, list[str]], model: str, mca: str, *, turns: int) -> dict[int, int]:
    """Number of a block -> cycles of so many turns."""
    parts = [
        "\n".join([f"# LLVM-MCA-BEGIN b{i}", *(f"\t{line}" for line in lines), f"# LLVM-MCA-END b{i}"])
        for i, lines in enumerate(code.values())
        if lines
    ]
    command = [mca, "-mtriple=aarch64", f"-mcpu={model}", f"-iterations={turns}", _FEATURES, "-instruction-info=0",
               "-resource-pressure=0"]  # fmt: skip
    done = subprocess.run(command, input="\n".join(parts) + "\n", capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{mca}: {done.stderr.strip()[-1000:]}")
    return {int(number): int(total) for number, total in _TOTAL.findall(done.stdout)}
