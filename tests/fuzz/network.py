"""A network of random steps over a pool of tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

#: of the largest values that a step may make: beyond them float32 results mean little
_LARGEST, _MOST_ELEMENTS = 1e3, 20000


@dataclass(frozen=True)
class Step:
    """One operator: a function of earlier tensors, with its parameters bound.

    Attributes
    ----------
    name : str
        For the listing, parameters included.
    compute : callable
        Takes the sources; gives a tensor, or a tuple of them.
    sources : tuple of int
        Numbers of earlier tensors.
    """

    name: str
    compute: Callable[..., Any]
    sources: tuple[int, ...]


#: forms that the importer refuses, so that most networks go all the way
_RARE: frozenset[str] = frozenset(
    {
        "argmax", "cumsum", "prod", "sort", "topk", "atan2", "hypot", "std", "var", "atan", "cos", "sin", "expm1",
        "log1p", "floor", "round", "trunc", "frac", "remainder", "index_add",
    }
)  # fmt: skip
#: of choices that may be one of those
_RARELY = 0.03

#: makes a step that reads a tensor (by number) of a pool, or None if there is none for its shape
Maker = Callable[[Random, Sequence[Tensor], int], Step | None]


def rarely(random: Random) -> bool:
    """True now and then."""
    return random.random() < _RARELY


def pick(random: Random, forms: Collection[str]) -> str:
    """One of the names; seldom one that is refused."""
    may_be_refused = rarely(random)
    return random.choice([name for name in forms if may_be_refused or name not in _RARE])


class RandomNetwork(nn.Module):
    """Steps in order, each of a few earlier tensors; results in a random structure."""

    def __init__(self, random: Random, makers: Sequence[Maker], *, steps: int) -> None:
        super().__init__()
        self.modules_of_steps = nn.ModuleList()
        self.steps: list[Step] = []
        self.inputs = [_random_tensor(random) for _ in range(random.choice([1, 1, 1, 2]))]
        self._grow(random, makers, steps)
        self.structure = _structure(random, self._count)

    def forward(self, *inputs: Tensor) -> Any:
        """Run the steps."""
        values = list(inputs)
        for step in self.steps:
            result = step.compute(*(values[source] for source in step.sources))
            values += result if isinstance(result, tuple | list) else [result]
        return _filled(self.structure, values)

    def __str__(self) -> str:
        lines = [f"input {tuple(x.shape)}" for x in self.inputs]
        lines += [f"{step.name} of {step.sources}" for step in self.steps]
        return "; ".join([*lines, f"results {self.structure}"])

    def _grow(self, random: Random, makers: Sequence[Maker], steps: int) -> None:
        values = [x.clone() for x in self.inputs]
        for _ in range(20 * steps):
            if len(self.steps) == steps:
                break
            source = max(random.randrange(len(values)) for _ in range(2))
            step = random.choice(makers)(random, values, source)
            if step is None:
                continue
            before = [value.clone() for value in values]
            try:
                result = step.compute(*(values[s] for s in step.sources))
            except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError, ZeroDivisionError):
                values = before  # no step of these shapes; what it wrote before it failed is undone
                continue
            results = list(result) if isinstance(result, tuple | list) else [result]
            if all(_is_fit(value) for value in (*results, *values)):
                self.steps.append(step)
                if isinstance(owner := getattr(step.compute, "owner", step.compute), nn.Module):
                    self.modules_of_steps.append(owner)
                values += results
            else:
                values = before
        self._count = len(values)


def _random_tensor(random: Random) -> Tensor:
    rank = random.choice([4, 4, 4, 4, 2, 3, 1, 5, 4])
    if rank == 4:
        n, c = random.choice([1, 1, 2, 3]), random.choice([1, 3, 4, 8, 12, 16])
        shape = [n, c, random.randint(1, 16), random.randint(1, 16)]
    else:
        shape = [random.choice([1, 2, 3, 5, 8]) for _ in range(rank - 1)] + [random.choice([1, 4, 7, 16, 33])]
    return torch.randn(shape)


def _is_fit(value: Any) -> bool:
    if not isinstance(value, Tensor) or not value.dtype.is_floating_point or not 0 < value.numel() <= _MOST_ELEMENTS:
        return False
    return bool(value.isfinite().all()) and float(value.abs().max()) < _LARGEST


def _structure(random: Random, count: int) -> Any:
    """Numbers of tensors in a form that models return, the last one among them."""
    last = count - 1
    others = [random.randrange(count) for _ in range(3)]
    forms: list[Any] = [
        last, last, last, (last,), [last], (last, others[0]), [last, others[0], others[1]], {"out": last},
        {"out": last, "aux": others[0]}, {"p": (last, others[0]), "q": {"r": others[1]}}, (last, None),
        {"loss": None, "logits": last}, (last, last), ((last, (others[0], [others[1]])), {"x": others[2]}),
    ]  # fmt: skip
    return random.choice(forms)


def _filled(structure: Any, values: Sequence[Tensor]) -> Any:
    if isinstance(structure, dict):
        return {key: _filled(part, values) for key, part in structure.items()}
    if isinstance(structure, tuple | list):
        return type(structure)(_filled(part, values) for part in structure)
    return None if structure is None else values[structure]
