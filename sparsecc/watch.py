"""Who watches the stages of a compilation that is dumped: a file for each, then a check of what it made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparsecc._codegen import ObjectCode
from sparsecc._tvm import IRModule
from sparsecc.analyse.plan import Plan
from sparsecc.build import MemoryPlan
from sparsecc.checker import Checker
from sparsecc.dump import Dump
from sparsecc.importer import Imported
from sparsecc.ir.graph import Graph
from sparsecc.ir.placed import Placed
from sparsecc.rewrite.assemble import Assembled
from sparsecc.rewrite.chain import Joined
from sparsecc.rewrite.fuse import Fused
from sparsecc.rewrite.listing import graph_text, placed_text
from sparsecc.rewrite.permute import Permuted, listing
from sparsecc.stages import Watch

#: in order; a file's number is that of its stage
STAGES = (
    "import", "shrink", "analyse", "fuse", "legalize", "extract", "reorder", "split", "join", "layout", "in place",
    "lower", "assemble", "build", "memory",
)  # fmt: skip


def watchers(folder: Path | None) -> tuple[Watch, ...]:
    """Those of a compilation with ``dump=folder``; none without a folder."""
    return () if folder is None else (writer(Dump(folder)), Checker())


def writer(dump: Dump) -> Watch:
    """Writes what a stage made."""

    def write(stage: str, made: object) -> None:
        suffix, text = _TEXTS[type(made)]
        dump.text(f"{1 + STAGES.index(stage):02}_{stage.replace(' ', '_')}", text(made), suffix=suffix)

    return write


def _kernels(lowered: Any) -> str:
    lines, seen = [], set()
    for node, kernel in lowered:
        cycles = "" if kernel.cycles is None else f", {kernel.cycles:.0f} cycles predicted"
        lines.append(f"# {node.key}: {kernel.kind} {dict(kernel.config)}{cycles}")
        if kernel.identity not in seen:
            seen.add(kernel.identity)
            lines.append(kernel.function.script() + "\n")
    return "\n".join(lines) + "\n"


def _program(assembled: Any) -> str:
    program = assembled.program
    lines = [f"buffer {i}: {nbytes} bytes" for i, nbytes in enumerate(program.buffers)]
    lines += [f"weight {i}: {array.dtype} x {array.size}" for i, array in enumerate(program.weights)]
    for step in program.steps:
        arguments = ", ".join(f"{'>' * (i in step.writes)}{ref.place} {ref.index}" for i, ref in enumerate(step.args))
        lines.append(f"{step.key}: {step.symbol}({arguments})" + ", gaps cleared first" * bool(step.pads))
    return "\n".join(lines) + "\n"


def _places(memory: MemoryPlan) -> str:
    lines = [f"arena: {memory.arena.nbytes} bytes, weights: {memory.weights.nbytes} bytes"]
    lines += [f"buffer {i} at {offset}" for i, offset in enumerate(memory.arena.offsets)]
    lines += [f"weight {i} at {offset}" for i, offset in enumerate(memory.weights.offsets)]
    return "\n".join(lines) + "\n"


#: type of what a stage made -> suffix of its file, and its text
_TEXTS: dict[type, tuple[str, Callable[[Any], str]]] = {
    Imported: (".py", lambda made: made.module.script()),
    Plan: (".txt", str),
    Fused: (".py", lambda made: made.module.script()),
    IRModule: (".py", lambda made: made.script()),
    Graph: (".txt", graph_text),
    Joined: (".txt", lambda made: graph_text(made.graph)),
    Permuted: (".txt", listing),
    Placed: (".txt", placed_text),
    list: (".py", _kernels),
    Assembled: (".txt", _program),
    MemoryPlan: (".txt", _places),
    ObjectCode: (".s", lambda made: made.assembly),
}
