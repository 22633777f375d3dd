"""Candidates of a task become one program that checks and times them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sparsecc._codegen import compile_object
from sparsecc._tvm import PrimFunc
from sparsecc.build import plan_memory
from sparsecc.build.library import Measured, Timed, build_measuring_program
from sparsecc.ir.program import Port, Program, Ref, Step
from sparsecc.kernels.config import Config
from sparsecc.rewrite.assemble import gaps
from sparsecc.target import Target
from sparsecc.tuning.tasks import Candidate, Task

_NAME = "candidates"


def write_program(task: Task, configs: Sequence[Config], out: Path, *, cc: str | None = None) -> None:
    """Build every config's kernels and link them with the measuring program.

    Raises
    ------
    ToolchainError, OutputError
        As :func:`~sparsecc.build.library.build_measuring_program` does.
    """
    candidates = [task.candidate(config) for config in configs]
    write_candidates(candidates, task.target, out, cc=cc, flush_bytes=task.flush_bytes)


def write_candidates(
    candidates: Sequence[Candidate],
    target: Target,
    out: Path,
    *,
    cc: str | None = None,
    flush_bytes: int | None = None,
) -> None:
    """The same for candidates of any tasks.

    Raises
    ------
    ToolchainError, OutputError
        As :func:`~sparsecc.build.library.build_measuring_program` does.
    """
    made = _Table()
    timed = [made.add(candidate) for candidate in candidates]
    kernels = compile_object(made.functions, target.llvm).data
    floats = max(made.weights[row.expected].size for row in timed)
    program = Program(
        name=_NAME, inputs=(), outputs=(Port("y", (floats,)),), buffers=tuple(made.buffers),
        weights=tuple(made.weights), steps=tuple(made.steps), description={"target": target.name},
    )  # fmt: skip
    measured = Measured(tuple(timed), flush_bytes=flush_bytes or target.l2_bytes)
    build_measuring_program(
        program, measured, memory=plan_memory(program), kernels=kernels,
        triple=target.triple, cpu_features=target.cpu_features, out=out, cc=cc,
    )  # fmt: skip


@dataclass(eq=False)
class _Table:
    """Steps of all candidates and what they read; of equal arrays there is one."""

    functions: dict[str, PrimFunc] = field(default_factory=dict)
    weights: list[np.ndarray] = field(default_factory=list)
    buffers: list[int] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    _places: dict[tuple[object, ...], int] = field(default_factory=dict)

    def add(self, candidate: Candidate) -> Timed:
        """Append a candidate's steps."""
        data, placed, places = candidate.data, candidate.placed, candidate.places
        tensors = {tensor: self._weight(array) for tensor, array in data.inputs.items() if tensor not in places}
        touched = tuple(ref.index for ref in tensors.values())
        tensors[candidate.steps[-1][0].output] = Ref("output", 0)
        for node, made in candidate.steps:
            place = places.get(node.output, node.output)
            if place not in tensors:
                self.buffers.append(placed.nbytes(place))
                tensors[place] = Ref("buffer", len(self.buffers) - 1)
            tensors[node.output] = tensors[place]
            symbol = f"{_NAME}_{len(self.steps)}"
            self.functions[symbol] = made.function
            args = tuple(tensors[a] if isinstance(a, int) else self._weight(a) for a in made.arguments)
            pads = gaps(node, placed, tensors[node.output])
            self.steps.append(Step(symbol, symbol, args, (len(args) - 1,), pads))
        replaced = None if candidate.replaced is None else self._weight(candidate.replaced).index
        expected = self._weight(data.expected).index
        return Timed(len(candidate.steps), expected, touched, replaced, codes=data.codes)

    def _weight(self, array: np.ndarray) -> Ref:
        # configs pack the same weights anew: many of them alike
        content = (array.dtype.str, array.shape, hashlib.blake2b(array.tobytes()).digest())
        if content not in self._places:
            self._places[content] = len(self.weights)
            self.weights.append(array)
        return Ref("weight", self._places[content])
