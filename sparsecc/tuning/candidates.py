"""Candidates of a task become one program that checks and times them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparsecc._tvm import PrimFunc, compile_object
from sparsecc.build.library import Measured, build_measuring_program
from sparsecc.facts.program import Port, Program, Ref, Step
from sparsecc.rewrite.assemble import gaps
from sparsecc.spaces.config import Config
from sparsecc.tuning.tasks import Task

_NAME = "candidates"


def write_program(task: Task, configs: Sequence[Config], out: Path, *, cc: str | None = None) -> None:
    """Build every config's kernel and link them with the measuring program.

    Raises
    ------
    ToolchainError, OutputError
        As :func:`~sparsecc.build.library.build_measuring_program` does.
    """
    data, target = task.data, task.target
    weights = [data.expected, *data.inputs.values()]
    tensors = {tensor: Ref("weight", i + 1) for i, tensor in enumerate(data.inputs)}
    tensors[task.node.output] = output = Ref("output", 0)
    functions: dict[str, PrimFunc] = {}
    steps = []
    for i, config in enumerate(configs):
        made = task.lower(config)
        symbol = f"{_NAME}_{i}"
        functions[symbol] = made.function
        args = tuple(_argument(argument, tensors, weights) for argument in made.arguments)
        steps.append(Step(symbol, symbol, args, (len(args) - 1,), gaps(task.node, task.placed, output)))
    kernels, _ = compile_object(functions, target.llvm)
    program = Program(
        name=_NAME, inputs=(), outputs=(Port("y", data.expected.shape),), buffers=(), weights=tuple(weights),
        steps=tuple(steps), description={"target": target.name},
    )  # fmt: skip
    measured = Measured(expected=0, touched=tuple(range(1, 1 + len(data.inputs))), flush_bytes=target.l2_bytes)
    build_measuring_program(
        program, measured, kernels=kernels, triple=target.triple, cpu_features=target.cpu_features, out=out, cc=cc
    )


def _argument(argument: object, tensors: dict[int, Ref], weights: list[np.ndarray]) -> Ref:
    if isinstance(argument, int):
        return tensors[argument]
    assert isinstance(argument, np.ndarray), "an argument is a tensor's number or a constant"
    for i, known in enumerate(weights):
        if known is argument:
            return Ref("weight", i)
    weights.append(argument)
    return Ref("weight", len(weights) - 1)
