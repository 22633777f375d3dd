"""Models whose results have every form, and what a library gives back for each."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree

SHAPE = (1, 3, 4, 4)

Boxes = namedtuple("Boxes", "boxes scores")


@dataclass
class Registered:
    """A dataclass that PyTorch knows."""

    logits: Any
    hidden: Any = None
    attention: Any = None


torch.export.register_dataclass(Registered, serialized_type_name="tests.Registered")


@dataclass
class ModelOutput(OrderedDict):  # type: ignore[type-arg]
    """As transformers has it: a dict of what is not None, and a dataclass."""

    logits: Any = None
    hidden: Any = None

    def __post_init__(self) -> None:
        self.update({f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None})


_pytree.register_pytree_node(
    ModelOutput,
    lambda value: (list(value.values()), list(value.keys())),
    lambda values, keys: ModelOutput(**dict(zip(keys, values, strict=True))),
    serialized_type_name="tests.ModelOutput",
)


class Pair:
    """A class that PyTorch can take apart, but not name the parts of."""

    def __init__(self, first: Any, second: Any) -> None:
        self.parts = [first, second]


_pytree.register_pytree_node(
    Pair, lambda pair: (pair.parts, None), lambda parts, _: Pair(*parts), serialized_type_name="tests.Pair"
)

Form = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Any]


class Net(nn.Module):
    """Two layers and a constant; ``form`` makes the result from the input, the second layer's result, the constant."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.first, self.second, self.form = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), form
        self.register_buffer("constant", torch.tensor([1.0, 2.0]))

    def forward(self, x: torch.Tensor) -> Any:
        return self.form(x, self.second(self.first(x).relu()), self.constant)


#: name -> what the model returns, and the names of the library's outputs
FORMS: dict[str, tuple[Form, list[str]]] = {
    "tensor": (lambda x, y, k: y, ["output"]),
    "tuple": (lambda x, y, k: (y, y + 1), ["output_0", "output_1"]),
    "tuple of one": (lambda x, y, k: (y,), ["output_0"]),
    "list": (lambda x, y, k: [y, y + 1], ["output_0", "output_1"]),
    "dict": (lambda x, y, k: {"out": y, "aux": y + 1}, ["out", "aux"]),
    "dict of one": (lambda x, y, k: {"out": y}, ["out"]),
    "nested": (
        lambda x, y, k: {"p": (y, [y + 1, None, {}]), "q": None, "r": ((y + 2,), ())},
        ["p_0", "p_1_0", "r_0_0"],
    ),
    "list in tuple": (lambda x, y, k: ([y, [y + 1]], y + 2), ["output_0_0", "output_0_1_0", "output_1"]),
    "None": (lambda x, y, k: (None, y, None), ["output_1"]),
    "twice": (lambda x, y, k: {"a": y, "b": [y, y]}, ["a", "b_0", "b_1"]),
    "input": (lambda x, y, k: {"image": x, "out": y, "flat": x.flatten(1)}, ["image", "out", "flat"]),
    "only the input": (lambda x, y, k: [x], ["output_0"]),
    "constant": (lambda x, y, k: (k, {"k": k + 1}, y), ["output_0", "output_1_k", "output_2"]),
    "views": (lambda x, y, k: (y, y.flatten(), y[:, :2], y.detach()), [f"output_{i}" for i in range(4)]),
    "ordered": (lambda x, y, k: OrderedDict(b=y, a=y + 1), ["b", "a"]),
    "default": (lambda x, y, k: defaultdict(list, {"b": y, "a": y + 1}), ["b", "a"]),
    "deque": (lambda x, y, k: deque([y, y + 1]), ["output_0", "output_1"]),
    "named": (lambda x, y, k: Boxes(y, {"s": y + 1}), ["boxes", "scores_s"]),
    "registered": (lambda x, y, k: Registered(y, None, y + 1), ["logits", "attention"]),
    "model output": (lambda x, y, k: ModelOutput(y, y + 1), ["logits", "hidden"]),
    "class": (lambda x, y, k: [Pair(y, y + 1)], ["output_0_0", "output_0_1"]),
    "integer keys": (lambda x, y, k: {0: y, "0": y + 1, -7: y + 2}, ["output_0", "output_0_2", "_7"]),
    "clashing names": (
        lambda x, y, k: {"a_b": y, "a": {"b": y + 1}, "a b": y + 2, "A_B": y + 3},
        ["a_b", "a_b_2", "a_b_3", "A_B"],
    ),
}


def net(form: Form) -> nn.Module:
    """A model with random weights, the same every time."""
    torch.manual_seed(0)
    return Net(form).eval()


def image() -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))


def plain(result: Any) -> Any:
    """A model's result as a library gives it: dicts, lists, tuples, None, and NumPy arrays."""
    if isinstance(result, torch.Tensor):
        return result.detach().numpy()
    if isinstance(result, Pair):
        return tuple(map(plain, result.parts))
    if isinstance(result, Mapping):
        return {key: plain(value) for key, value in result.items()}
    if is_dataclass(result):
        return {field.name: plain(getattr(result, field.name)) for field in fields(result)}
    if isinstance(result, (list, deque)):
        return [plain(value) for value in result]
    return tuple(map(plain, result)) if isinstance(result, tuple) else result
