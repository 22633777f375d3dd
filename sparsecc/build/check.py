"""Is a Program consistent? Everything after this may rely on it."""

from __future__ import annotations

import re

from sparsecc.build.describe import structure_of
from sparsecc.errors import InternalError, UserError
from sparsecc.ir.program import PadFill, Program, Ref, Step
from sparsecc.runtime.format import FUNCTIONS, SHAPE_FUNCTIONS
from sparsecc.runtime.structure import parse_structure

_KEYWORDS = """auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
class new delete this template namespace operator public private protected virtual try catch throw using true false
asm typeof main"""

# prefixes for which <name>_t, <name>_create, ... mean something to C already, or to the runtime
_TAKEN = """scc pthread sched size ssize ptrdiff wchar wint max_align int8 int16 int32 int64 uint8 uint16 uint32 uint64
intptr uintptr intmax uintmax off pid uid gid mode dev ino nlink id key time clock clockid timer suseconds useconds div
ldiv lldiv fpos mbstate va_list sigset cpu_set fd_set stack greg gregset fpregset socklen sem mtx cnd thrd"""


def check_name(name: str) -> None:
    """Raise UserError unless the C API can be prefixed with ``name``."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in (_KEYWORDS + " " + _TAKEN).split():
        rule = "letters, digits and _ after a letter, and no word that C has a meaning for"
        raise UserError(f"name {name!r} can't be the prefix of C functions; expected {rule}: choose another name")


def check_program(program: Program) -> None:
    """Raise InternalError if a step refers to what does not exist, or reads what nobody wrote."""
    check_name(program.name)
    _check_symbols(program)
    written: set[Ref] = set()
    for index, step in enumerate(program.steps):
        where = f"program {program.name}, step {index} ({step.key})"
        for ref in (*step.args, *(p.ref for p in step.pads)):
            _check_ref(ref, program, where=where)
        _check_writes(step, where=where)
        for pad in step.pads:
            _check_pad(pad, program, where=where)
        written |= {step.args[i] for i in step.writes}
        for ref in step.args:
            if ref.place in ("buffer", "output") and ref not in written:
                raise InternalError(f"{where}: reads {ref.place} {ref.index}, which no step wrote before")
    for i, port in enumerate(program.outputs):
        if Ref("output", i) not in written:
            raise InternalError(f"program {program.name}: no step writes output {i} ({port.name})")
    try:
        parse_structure(structure_of(program), outputs=len(program.outputs))
    except ValueError as error:
        raise InternalError(f"program {program.name}: {error}; expected one place for each output") from error


def _check_symbols(program: Program) -> None:
    arguments: dict[str, int] = {}
    for step in program.steps:
        count = arguments.setdefault(step.symbol, len(step.args))
        if count != len(step.args):
            found = f"{len(step.args)} arguments here and {count} before"
            raise InternalError(f"program {program.name}: kernel {step.symbol} has {found}; expected the same")
        if step.symbol in {f"{program.name}_{f}" for f in (*FUNCTIONS, *SHAPE_FUNCTIONS, "weights")}:
            raise InternalError(f"program {program.name}: kernel {step.symbol} has the name of a public function")


def _check_ref(ref: Ref, program: Program, *, where: str) -> None:
    counts = {
        "input": len(program.inputs),
        "output": len(program.outputs),
        "buffer": len(program.buffers),
        "weight": len(program.weights),
    }
    if not 0 <= ref.index < counts[ref.place]:
        raise InternalError(f"{where}: refers to {ref.place} {ref.index}, but there are {counts[ref.place]}")


def _check_writes(step: Step, *, where: str) -> None:
    for position in step.writes:
        if not 0 <= position < len(step.args) or step.args[position].place in ("input", "weight"):
            raise InternalError(f"{where}: writes argument {position}; expected a buffer or output among its arguments")


def _check_pad(pad: PadFill, program: Program, *, where: str) -> None:
    if pad.ref.place == "buffer":
        available = program.buffers[pad.ref.index]
    elif pad.ref.place == "output":
        available = program.outputs[pad.ref.index].nbytes
    else:
        raise InternalError(f"{where}: clears gaps of {pad.ref.place} {pad.ref.index}, which is read only")
    numbers = (pad.lead, pad.planes, pad.plane_stride, pad.rows, pad.row_stride, pad.row_used, pad.tail)
    fits = pad.row_used <= pad.row_stride and pad.rows * pad.row_stride <= pad.plane_stride and pad.nbytes <= available
    if min(numbers) < 0 or not fits:
        raise InternalError(f"{where}: {pad} does not fit its {available} bytes")
