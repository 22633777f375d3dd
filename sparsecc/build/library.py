"""A Program and its kernels become a library: the last stage of the compiler, one line a part."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sparsecc.build.batches import batches_of
from sparsecc.build.check import check_program
from sparsecc.build.describe import describe
from sparsecc.build.emit import main_source
from sparsecc.build.header import header_text
from sparsecc.build.link import Sources, link_program, link_shared, link_static
from sparsecc.build.memory_plan import MemoryPlan, check_memory
from sparsecc.build.objects import isolate
from sparsecc.build.toolchain import find_compiler
from sparsecc.build.weights import WeightBlob
from sparsecc.ir.program import Program
from sparsecc.runtime.format import FUNCTIONS, SHAPE_FUNCTIONS

#: programs of one library for other shapes than the first one's, each with its memory
Others = Sequence[tuple[Program, MemoryPlan]]


@dataclass(frozen=True)
class Built:
    """A library that was written: the file and sizes in bytes."""

    path: Path
    file_bytes: int
    arena_bytes: int
    weight_bytes: int


def build_library(
    program: Program,
    *,
    memory: MemoryPlan,
    kernels: bytes,
    triple: str,
    cpu_features: tuple[str, ...],
    out: str | os.PathLike[str],
    cc: str | None = None,
    static: bool = False,
    others: Others = (),
    in_pieces: bool = False,
) -> Built:
    """Link a program with its kernels.

    Parameters
    ----------
    program : Program
        What to run.
    memory : MemoryPlan
        Of this program.
    kernels : bytes
        Object file with a function for every ``Step.symbol``. Symbols that don't begin with the program's name get it
        as a prefix.
    triple : str
        What the kernels were compiled for: ``x86_64-linux-gnu``, ``aarch64-linux-gnu``, ``armv7l-linux-gnueabihf``.
    cpu_features : tuple of str
        LLVM's names of the CPU features the kernels use (``avx2``); creating an instance checks them.
    out : path
        The file to write. It appears complete or not at all.
    cc : str, optional
        C compiler; by default ``$SPARSECC_CC``, else ``ziglang``.
    static : bool
        Write a static archive in place of a shared library.
    others : sequence of (Program, MemoryPlan)
        The same network for other shapes: with the same weights, and kernels in the same object.
    in_pieces : bool
        Whether batches that have no program may be computed in pieces that have one.

    Raises
    ------
    ToolchainError
        The C compiler is missing or failed.
    OutputError
        The result can't be written.
    InternalError
        Program and kernels don't fit together.
    """
    out = Path(out)
    compiler = find_compiler(cc, triple=triple)
    sources = sources_of(
        program, memory=memory, kernels=kernels, triple=triple, cpu_features=cpu_features, others=others,
        in_pieces=in_pieces,
    )  # fmt: skip
    (link_static if static else link_shared)(sources, out, compiler=compiler)
    return Built(out, out.stat().st_size, memory.arena.nbytes, memory.weights.nbytes)


#: types of results, as the measuring program numbers them
_CODES = ("", "uint8", "int8")


@dataclass(frozen=True)
class Timed:
    """A candidate of a measuring program.

    Attributes
    ----------
    steps : int
        How many of the program's steps it is, after those of the candidates before it.
    expected : int
        Which of the program's weights is the right result; NaN where any value will do.
    touched : tuple of int
        Which of them it finds in the cache: its inputs.
    replaced : int or None
        Which of them is the input that its result takes the place of, if it works in place.
    codes : str
        ``uint8`` or ``int8`` where the result is codes: then the right one is int16, and any value above 255 will do;
        empty for float32.
    """

    steps: int
    expected: int
    touched: tuple[int, ...]
    replaced: int | None = None
    codes: str = ""


@dataclass(frozen=True)
class Measured:
    """What a measuring program needs to know besides its steps.

    Attributes
    ----------
    candidates : tuple of Timed
    flush_bytes : int
        Bytes that push everything but a candidate's inputs out of the second cache.
    """

    candidates: tuple[Timed, ...]
    flush_bytes: int


def build_measuring_program(
    program: Program,
    measured: Measured,
    *,
    memory: MemoryPlan,
    kernels: bytes,
    triple: str,
    cpu_features: tuple[str, ...],
    out: Path,
    cc: str | None = None,
) -> None:
    """Link candidates with the program that checks and times them (``csrc/scc_measure.c``): static.

    Parameters and errors are those of :func:`build_library`; every candidate's last step writes the only output.
    """
    compiler = find_compiler(cc, triple=triple, programs=True)
    sources = sources_of(program, memory=memory, kernels=kernels, triple=triple, cpu_features=cpu_features)
    offsets, weights = sources.weights.offsets, program.weights
    rows, first = [], 0
    for candidate in measured.candidates:
        touched = ", ".join(f"{{{offsets[i]}, {weights[i].nbytes}}}" for i in candidate.touched) or "{0, 0}"
        expected = f"{offsets[candidate.expected]}, {weights[candidate.expected].size}"
        i = candidate.replaced
        replaced = "0, 0" if i is None else f"{offsets[i]}, {weights[i].nbytes}"
        what = f"{first}, {candidate.steps}, {_CODES.index(candidate.codes)}"
        rows.append(f"{{{what}, {expected}, {replaced}, {len(candidate.touched)}, {{{touched}}}}}")
        first += candidate.steps
    tail = [
        f"#define SCC_CANDIDATES {', '.join(rows)}",
        f"#define SCC_MOST_STEPS {max(candidate.steps for candidate in measured.candidates)}",
        f"#define SCC_MOST_TOUCHED {max(1, *(len(candidate.touched) for candidate in measured.candidates))}",
        f"#define SCC_FLOATS {max(weights[candidate.expected].size for candidate in measured.candidates)}",
        f"#define SCC_FLUSH {measured.flush_bytes}",
        '#include "scc_measure.c"',
    ]
    link_program(replace(sources, tail="\n".join([*tail, ""])), out, compiler=compiler)


def build_program(
    source: Literal["scc_bench.c", "scc_apply.c"],
    program: Program,
    *,
    memory: MemoryPlan,
    kernels: bytes,
    triple: str,
    cpu_features: tuple[str, ...],
    out: Path,
    cc: str | None = None,
    others: Others = (),
    in_pieces: bool = False,
) -> None:
    """Link a network with a program: static.

    Parameters and errors are those of :func:`build_library`, but for ``source``, the program's code in ``csrc/``: it
    times the network (``scc_bench.c``), or runs it on inputs from a file (``scc_apply.c``).
    """
    compiler = find_compiler(cc, triple=triple, programs=True)
    sources = sources_of(
        program, memory=memory, kernels=kernels, triple=triple, cpu_features=cpu_features, others=others,
        in_pieces=in_pieces,
    )  # fmt: skip
    link_program(replace(sources, tail=f'#include "{source}"\n'), out, compiler=compiler)


def sources_of(
    program: Program,
    *,
    memory: MemoryPlan,
    kernels: bytes,
    triple: str,
    cpu_features: tuple[str, ...],
    others: Others = (),
    in_pieces: bool = False,
) -> Sources:
    """Everything to link."""
    for one, plan in ((program, memory), *others):
        check_program(one)
        check_memory(plan, one)
    weights = WeightBlob(memory.weights, program.weights)
    features = [f.removeprefix("+") for f in cpu_features if not f.startswith("-")]
    description = _described(
        program, memory=memory, triple=triple, cpu_features=features, others=others, in_pieces=in_pieces
    )
    batches = batches_of([program, *(one for one, _ in others)], in_pieces=in_pieces) if others else ()
    return Sources(
        name=program.name,
        main=main_source(
            program, arena=memory.arena, weights=weights, description=description, batches=batches,
            others=[(one, plan.arena) for one, plan in others],
        ),
        header=header_text(program, description),
        weights=weights,
        kernels=isolate(kernels, prefix=program.name),
        functions=(*FUNCTIONS, *(SHAPE_FUNCTIONS if others else ())),
        apart=not others,
    )  # fmt: skip


def header_of(
    program: Program, *, memory: MemoryPlan, triple: str, others: Others = (), in_pieces: bool = False
) -> str:
    """Text of the C header of a program's library, by custom ``<program.name>.h``; parameters are as given to
    :func:`build_library`.
    """
    check_program(program)
    told = facts_of(program, memory=memory, triple=triple, others=others, in_pieces=in_pieces)
    return header_text(program, told)


def facts_of(
    program: Program, *, memory: MemoryPlan, triple: str, others: Others = (), in_pieces: bool = False
) -> dict[str, Any]:
    """A library's description but for what its processor must have; parameters are those of :func:`header_of`."""
    return _described(program, memory=memory, triple=triple, cpu_features=(), others=others, in_pieces=in_pieces)


def _described(
    program: Program,
    *,
    memory: MemoryPlan,
    triple: str,
    cpu_features: Sequence[str],
    others: Others,
    in_pieces: bool,
) -> dict[str, Any]:
    return describe(
        program,
        triple=triple,
        cpu_features=cpu_features,
        arena_bytes=max(plan.arena.nbytes for plan in (memory, *(plan for _, plan in others))),
        weight_bytes=memory.weights.nbytes,
        weights_digest=WeightBlob(memory.weights, program.weights).digest(),
        others=[one for one, _ in others],
        in_pieces=in_pieces,
    )
