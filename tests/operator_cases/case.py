"""What a case of an operator is: name, module, shapes of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

Shape = tuple[int, ...]


class OperatorCase(NamedTuple):
    """A network to compile and compare; ``make`` gives the module, or a function of tensors that stands for one."""

    name: str
    make: Callable[[], nn.Module]
    shapes: Sequence[Shape]


class Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        """Apply it."""
        return self.function(*inputs)


class Together(nn.Module):
    """The networks of several cases side by side: the inputs of all, and a list of each one's results."""

    def __init__(self, cases: Sequence[OperatorCase]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(case.make() for case in cases)
        self.counts = [len(case.shapes) for case in cases]

    def forward(self, *inputs: Tensor) -> list[Any]:
        """Apply each to its own inputs."""
        rest = iter(inputs)
        return [part(*(next(rest) for _ in range(count))) for part, count in zip(self.parts, self.counts, strict=True)]


def module(name: str, make: Callable[[], nn.Module], *shapes: Shape) -> OperatorCase:
    """A module made with seeded weights."""
    return OperatorCase(name, make, shapes)


def function(name: str, compute: Callable[..., Any], *shapes: Shape) -> OperatorCase:
    """A function of tensors."""
    return OperatorCase(name, lambda: Function(compute), shapes)


IMAGE = (2, 6, 9, 11)
