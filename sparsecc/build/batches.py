"""Shapes of a library that differ in their batch alone: a batch that is not among them is computed in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparsecc.ir.program import Program


@dataclass(frozen=True)
class Batch:
    """A shape's batch.

    Attributes
    ----------
    size : int
        The leading dimension of all inputs and outputs; 0 where they have none in common.
    family : int
        Number of the first shape that differs in nothing else; -1 for a shape that can't be a piece.
    """

    size: int
    family: int


def batches_of(programs: Sequence[Program], *, in_pieces: bool) -> tuple[Batch, ...]:
    """The batch of each shape; ``in_pieces`` says whether the network computes each image of a batch by itself."""
    known: dict[tuple[tuple[int, ...], ...], int] = {}
    found = []
    for number, program in enumerate(programs):
        size = batch_size(program)
        rest = tuple(port.shape[1:] for port in (*program.inputs, *program.outputs))
        family = known.setdefault(rest, number) if size and in_pieces else -1
        found.append(Batch(size, family))
    return tuple(found)


def batch_size(program: Program) -> int:
    """The leading dimension of all inputs and outputs; 0 where they have none in common."""
    leading = {port.shape[0] if port.shape else 0 for port in (*program.inputs, *program.outputs)}
    return leading.pop() if len(leading) == 1 else 0


def models_text(models: Sequence[str], batches: Sequence[Batch], *, ports: int) -> str:
    """C text of one model, or of one for each shape: the first is the one that who knows of no shapes gets.

    Parameters
    ----------
    models : sequence of str
        Members of ``scc_model``.
    batches : sequence of Batch
        Of each shape, where there are several.
    ports : int
        Most inputs or outputs.
    """
    if len(models) == 1:
        return f"const scc_model scc_this = {{\n{models[0]}}};\n"
    rows = ", ".join(f"{{{batch.size}, {batch.family}}}" for batch in batches)
    return "\n".join(
        [
            f"#define SCC_SHAPES {len(models)}",
            f"#define SCC_PORTS {max(ports, 1)}",
            "static const scc_model scc_models[SCC_SHAPES] = {",
            *(f"{{\n{model}}}," for model in models),
            "};",
            "#undef scc_this",
            "#define scc_this scc_models[0]",
            "/* The batch of each shape, and shapes that differ in nothing else; -1 for one that can't be a piece. */",
            f"static const struct {{ int64_t size; int family; }} scc_batches[SCC_SHAPES] = {{{rows}}};",
            "",
        ]
    )
