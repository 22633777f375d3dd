"""Cycles of a block on cores that start instructions in the order of the program, by rules that were measured on them.

LLVM's model of Cortex-A53 lets results be written in the order of the program only, which the core does not. These
rules are what people measured on boards: D. Estevez (qsdr, ``instruction_benchmark/aarch64/neon``: pairs of
instructions, latencies of loads and of ``ins``), ncnn (``docs/developer-guide/arm-a53-a55-dual-issue.md``) and
H. Suzuki (insn_bench_aarch64: multiply-adds).

Two instructions start in a cycle. The vector unit has two halves of 64 bits: arithmetic on 128 bits takes both, on 64
bits or ``ins`` one. On Cortex-A53 a vector's load of 64 bits takes one, too, so that it never starts with a
multiply-add, and one of 128 bits takes both for two cycles; a load to a scalar register does start with one, if it
comes second. On Cortex-A55 a load of 64 bits and ``ins`` may start with a multiply-add. On Cortex-A53 no vector's load
starts four cycles after a multiply-add, when that one adds up. ``ins`` waits for no other half of its
register.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bench.emulate.code import kind_of

#: halves of the vector unit, and instructions of a cycle
_HALVES, _WIDTH = 2, 2
_FMA, _SUM, _VECTOR, _INS, _SCALAR_LOAD = 8, 4, 4, 2, 3
_LOAD, _WIDE_LOAD = 3, 4
_ADDS_UP_AFTER = 4
_TURNS = 12
_REGISTER = re.compile(r"\b([vqdshwx])(\d+)\b")
_VECTORS = frozenset("vqdsh")


@dataclass(frozen=True)
class _One:
    """What the rules ask of an instruction: cycles of the load unit, halves of the vector unit."""

    kind: str
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    words: int
    halves: int
    latency: int


def cycles(block: Sequence[str], core: str) -> float:
    """Cycles of a block that runs again and again, all data in the first cache.

    Parameters
    ----------
    block : sequence of str
        Instructions.
    core : str
        ``"cortex-a53"`` or ``"cortex-a55"``.
    """
    code = [_read(line, core) for line in block]
    state = _State(core)
    for _ in range(_TURNS):
        half = state.now
        for one in code:
            state.start(one)
        state.turns.append(state.now - half)
    return sum(state.turns[_TURNS // 2 :]) / (_TURNS - _TURNS // 2)


class _State:
    """What is under way."""

    def __init__(self, core: str) -> None:
        self.now, self.turns = 0, list[int]()
        self._started, self._halves, self._first = 0, 0, ""
        self._ready: dict[str, int] = {}
        self._sums: dict[str, int] = {}
        self._loads_from = self._vectors_from = 0
        self._added: set[int] = set()
        self._written: dict[str, int] = {}
        self._a53 = core == "cortex-a53"

    def start(self, one: _One) -> None:
        """In the first cycle that it can start in."""
        at = max(self.now, *(self._ready.get(name, 0) for name in one.reads), 0)
        if one.kind == "multiply-adds":
            at = max(at, self._sums.get(one.writes[0], 0))
        while not self._fits(one, at):
            at += 1
        if at > self.now:
            self.now, self._started, self._halves, self._first = at, 0, 0, one.kind
        elif not self._started:
            self._first = one.kind
        self._started += 1
        self._halves += one.halves
        self._follow(one)

    def _fits(self, one: _One, at: int) -> bool:
        load = one.words > 0
        if (load and at < self._loads_from) or (one.halves and at < self._vectors_from):
            return False
        if self._a53 and load and one.halves and at - _ADDS_UP_AFTER in self._added:
            return False
        if any(self._written.get(name) == at for name in one.writes):
            return False
        if at > self.now:
            return True
        ordered = self._first == "scalar loads" and one.halves > 0 and self._a53
        return self._started < _WIDTH and self._halves + one.halves <= _HALVES and not (ordered and self._started)

    def _follow(self, one: _One) -> None:
        if one.words:
            self._loads_from = self.now + one.words
            if one.words > 1 and one.halves:
                self._vectors_from = self.now + one.words
        if one.kind == "multiply-adds":
            self._added = {at for at in self._added if at >= self.now - _ADDS_UP_AFTER} | {self.now}
        for i, name in enumerate(one.writes):
            later = 2 * i if one.words > _HALVES else i if one.words == _HALVES and len(one.writes) > 1 else 0
            self._written[name] = self.now
            self._ready[name] = self.now + one.latency + later
            self._sums[name] = self.now + (_SUM if one.kind == "multiply-adds" else one.latency)


def _read(line: str, core: str) -> _One:
    name, _, rest = line.partition("\t")
    kind = kind_of(line)
    operands = [part.strip() for part in re.split(r",(?![^\[{]*[\]}])", rest)]
    if kind.endswith("loads"):
        return _load(name, operands, kind, core)
    if kind.endswith("stores"):
        return _One(kind, (), _names(rest), 1, 0 if kind.startswith("scalar") else _HALVES, 1)
    if kind == "branches" or name in ("cmp", "cmn", "tst", "ccmp", "subs", "adds"):
        flags = ("flags",) if name in ("cmp", "cmn", "tst", "ccmp", "subs", "adds") else ()
        first = _names(operands[0]) if name in ("subs", "adds") else ()
        return _One(kind, (*first, *flags), (*_names(",".join(operands[len(first) :])), *_flags(name)), 0, 0, 1)
    writes, reads = _names(operands[0])[:1], _names(",".join(operands[1:]))
    if name in ("ins", "mov") and "[" in operands[0]:
        return _One(kind, writes, reads, 0, 1 if core == "cortex-a53" else 0, _INS)
    if kind in ("multiply-adds", "vector arithmetic"):
        wide = bool(re.search(r"\.(?:4s|2d|8h|16b)", rest))
        latency = _FMA if name in ("fmla", "fmls") else _VECTOR
        return _One(kind, writes, reads, 0, _HALVES if wide else 1, latency)
    return _One(kind, writes, (*reads, *_flags(name)), 0, 0, 1)


def _flags(name: str) -> tuple[str, ...]:
    return ("flags",) if name.startswith(("b.", "cs", "ccmp", "fcsel", "cinc")) else ()


def _load(name: str, operands: Sequence[str], kind: str, core: str) -> _One:
    address = next((i for i, part in enumerate(operands) if "[" in part and not part.startswith("{")), len(operands))
    to = () if name.startswith("prf") else _names(",".join(operands[:address]))
    base = _names(",".join(operands[address:]))
    moved = base[:1] if address + 1 < len(operands) or (address < len(operands) and operands[-1].endswith("!")) else ()
    words = max(1, sum(2 if re.search(r"\bq\d|\.(?:4s|2d|16b|8h)", part) else 1 for part in operands[:address]))
    if kind == "scalar loads":
        return _One(kind, (*to, *moved), base, 1, 0, _SCALAR_LOAD)
    narrow = words == 1
    halves = 0 if narrow and core == "cortex-a55" else 1 if narrow else _HALVES
    return _One(kind, (*to, *moved), base, words, halves, _LOAD if narrow else _WIDE_LOAD)


def _names(text: str) -> tuple[str, ...]:
    return tuple(("v" if kind in _VECTORS else "x") + number for kind, number in _REGISTER.findall(text))
