"""Configs of the linear kernel."""

from __future__ import annotations

from collections.abc import Iterator

from sparsecc.kernels.linear import LinearConfig, LinearShape
from sparsecc.target import Target

#: registers for weights and what the compiler needs
_SPARE = 4
#: input rows in registers at most
MOST_ROWS = 8


def linear_space(shape: LinearShape, target: Target) -> Iterator[LinearConfig]:
    """Every legal config: vectors that divide a block, rows of the input that fit the registers beside them."""
    for lanes in sorted({n for n in (target.lanes, target.lanes // 2, 4) if shape.block_n % n == 0}, reverse=True):
        vectors = shape.block_n // lanes
        for rows in range(1, min(shape.m, MOST_ROWS) + 1):
            if rows == 1 or (vectors + 1) * rows <= target.registers - _SPARE:
                for chains in (1, 2, 4, 8):
                    if chains == 1 or chains * rows * vectors <= target.registers - _SPARE:
                        yield LinearConfig(lanes, rows, chains)
