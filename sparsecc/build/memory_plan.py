"""Where everything lies that a network needs besides its inputs and outputs: planned once, read by all who need it."""

from __future__ import annotations

from dataclasses import dataclass

from sparsecc.build.check import check_program
from sparsecc.build.memory import ArenaPlan, check_plan, lifetimes, plan_arena
from sparsecc.build.weights import WeightPlan, plan_weights
from sparsecc.errors import InternalError
from sparsecc.ir.program import Program


@dataclass(frozen=True)
class MemoryPlan:
    """Places of buffers in the arena, which every instance has, and of weights in the library."""

    arena: ArenaPlan
    weights: WeightPlan

    @property
    def nbytes(self) -> int:
        """Bytes of weights and of one instance's buffers."""
        return self.arena.nbytes + self.weights.nbytes


def plan_memory(program: Program) -> MemoryPlan:
    """Plan a program's memory.

    Raises
    ------
    InternalError
        The program is not consistent.
    """
    check_program(program)
    return MemoryPlan(plan_arena(program), plan_weights(program.weights))


def check_memory(memory: MemoryPlan, program: Program) -> None:
    """Raise InternalError if a plan is not of this program."""
    planned = len(memory.arena.offsets), len(memory.weights.offsets)
    expected = len(program.buffers), len(program.weights)
    if planned != expected:
        raise InternalError(
            f"memory plan: found places of {planned[0]} buffers and {planned[1]} weights, expected {expected[0]} and "
            f"{expected[1]} as the program {program.name} has; please report it with the model"
        )
    check_plan(memory.arena, lifetimes(program))
