"""A scoreboard for a core that starts instructions in the order of the program: cycles of a loop of 64-bit ARM code.

Two instructions start in a cycle, each when the registers that it reads are ready; results come in any order. Figures
of multiply-adds are those measured of Cortex-A53 (insn_bench_aarch64 by H. Suzuki): a vector of them a cycle, its
result after 8 cycles, for the next sum after 4. Assumed are 64 bits loaded a cycle, and the latencies of loads and of
other instructions. Whether a load of 128 bits may start together with a multiply-add is left open: both are given.
What was measured since is in ``bench/emulate/in_order.py``, which tables use; tests of loads ahead hold to these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_REGISTER = re.compile(r"\b([vqdswx])(\d+)\b")
_TURNS = 50
_FMA_LATENCY, _SUM_LATENCY, _VECTOR_LATENCY = 8, 4, 4
_LOAD_LATENCY, _VECTOR_LOAD_LATENCY = 3, 4


@dataclass(frozen=True)
class Instruction:
    """What the scoreboard needs: kind (fma, vector, load, scalar), registers, 64-bit words that it loads."""

    kind: str
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    words: int = 0


def read(line: str) -> Instruction:
    """One line of assembly."""
    name, _, rest = line.strip().partition("\t")
    operands = [part.strip() for part in re.split(r",(?![^\[{]*[\]}])", rest.split("//")[0])]
    first, others = _registers(operands[0]), _registers(",".join(operands[1:]))
    if name.startswith("fmla"):
        return Instruction("fma", first[:1], others)
    if name.startswith(("ld", "prfm")):
        return _load(name, operands)
    if name.startswith(("b", "cb")):
        return Instruction("scalar", (), (*_registers(rest), "flags"))
    if name.startswith("cmp"):
        return Instruction("scalar", ("flags",), _registers(rest))
    flags = ("flags",) if name.startswith("cs") else ()
    return Instruction("vector" if first[0].startswith("v") else "scalar", first[:1], (*others, *flags))


def _registers(text: str) -> tuple[str, ...]:
    return tuple(("v" if kind in "vqds" else "x") + number for kind, number in _REGISTER.findall(text))


def _load(name: str, operands: Sequence[str]) -> Instruction:
    address = next(i for i, part in enumerate(operands) if "[" in part and not part.startswith("{"))
    to = _registers(",".join(operands[:address])) if not name.startswith("prfm") else ()
    base = _registers(operands[address])
    moved = base[:1] if address + 1 < len(operands) or operands[address].endswith("!") else ()
    words = sum(2 if re.search(r"\bq\d|\.4s", part) else 1 for part in operands[:address])
    return Instruction("load", (*to, *moved), base, words if to and to[0].startswith("v") else 1)


def cycles(loop: Sequence[str], *, paired: bool) -> float:
    """Cycles of one turn, all data in the first cache; ``paired``: a vector's load starts with a multiply-add."""
    code = [read(line) for line in loop if re.match(r"\s+[a-z]", line)]
    ready: dict[str, int] = {}
    sums: dict[str, int] = {}
    now = started = vector_free = load_free = 0
    for instruction in code * _TURNS:
        inputs = [ready.get(register, 0) for register in instruction.reads]
        if instruction.kind == "fma":
            inputs += [sums.get(register, 0) for register in instruction.writes]
        wide = instruction.kind == "load" and instruction.words > 1 and not paired
        if instruction.kind in ("fma", "vector") or wide:
            inputs.append(vector_free)
        if instruction.kind == "load":
            inputs.append(load_free)
        start = max(now + (started == 2), *inputs, 0)
        started = started + 1 if start == now else 1
        now = start
        if instruction.kind == "load":
            load_free = now + instruction.words
        if instruction.kind in ("fma", "vector") or wide:
            vector_free = now + max(1, instruction.words)
        for register in instruction.writes:
            ready[register] = now + _latency(instruction, register)
            sums[register] = now + (_SUM_LATENCY if instruction.kind == "fma" else _latency(instruction, register))
    return now / _TURNS


def _latency(instruction: Instruction, register: str) -> int:
    if instruction.kind == "fma":
        return _FMA_LATENCY
    if instruction.kind == "load":
        return _VECTOR_LOAD_LATENCY + instruction.words if register.startswith("v") else _LOAD_LATENCY
    return _VECTOR_LATENCY if instruction.kind == "vector" else 1
