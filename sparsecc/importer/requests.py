"""What a caller asked to compile: a model, with the shapes that its inputs shall have."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from sparsecc.errors import UserError
from sparsecc.importer.checks import as_tensors
from sparsecc.importer.export import load_program
from sparsecc.importer.fixed import fixed, input_sizes
from sparsecc.importer.models import Shaped, checked_sizes, is_onnx_file
from sparsecc.text import printable
from sparsecc.untrusted.numbers import as_int

#: a model and its example inputs
Request = tuple[Any, Sequence[Any] | None]
#: sizes of all inputs by name, or in their order
Sizes = Mapping[str, tuple[int, ...]] | tuple[tuple[int, ...], ...]

_ONE = "a dict such as {'x': (1, 3, 224, 224)}"
_MOST_SHAPES = 64


def requests_of(model: Any, example_inputs: Sequence[Any] | None, shapes: Any, batch: Any) -> list[Request]:
    """One request for each shape that is wanted, with the model and example inputs of it.

    Parameters
    ----------
    model, example_inputs
        As :func:`sparsecc.compile` has them.
    shapes : mapping, or sequence of shapes, optional
        One shape, as input's name -> sizes; or several, each such a mapping, the sizes of the only input, or a sequence
        of the sizes of all.
    batch : int or sequence of int, optional
        Leading dimensions of all inputs.

    Raises
    ------
    UserError
        They are none of these, contradict each other, or name one shape twice.
    ModelError
        The model can't have these shapes.
    """
    wanted = _wanted(shapes)
    batches = _batches(batch)
    if batches and len(wanted) > 1:
        raise UserError("batch: found it with several shapes; say the batch of each in shapes=, or give one shape")
    if not wanted and not batches:
        return [(model, example_inputs)]
    if isinstance(model, str | Path) and not is_onnx_file(model):
        model = load_program(Path(model))
    examples = None if example_inputs is None else as_tensors(example_inputs)
    base: list[Sizes | None] = list(wanted) or [None]
    leading: list[int | None] = list(batches) or [None]
    return [_request(model, examples, sizes, size) for sizes in base for size in leading]


def one_request(model: Any, example_inputs: Sequence[Any] | None, shapes: Any) -> Request:
    """The same for who looks at one shape; UserError where several are given."""
    found = requests_of(model, example_inputs, shapes, None)
    if len(found) > 1:
        raise UserError(f"shapes: found {len(found)}, expected one: only compile makes programs for several")
    return found[0]


def _wanted(shapes: Any) -> list[Sizes]:
    if shapes is None:
        return []
    if isinstance(shapes, Mapping):
        return [_sizes(shapes)]
    if not isinstance(shapes, Sequence) or isinstance(shapes, str) or not shapes:
        raise UserError(f"shapes: found {_found(shapes)}, expected {_ONE}, or a list of shapes")
    if all(as_int(size) is not None for size in shapes):
        return [_sizes(shapes)]
    found = [_sizes(shape) for shape in shapes]
    _check_once(found, what="shapes")
    return found


def _sizes(shape: Any) -> Sizes:
    if isinstance(shape, Mapping):
        return {name: checked_sizes(name, sizes) for name, sizes in shape.items()}
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not shape:
        raise UserError(f"shapes: found {_found(shape)}, expected {_ONE}, or sizes such as (1, 3, 224, 224)")
    every = [shape] if as_int(shape[0]) is not None else list(shape)
    return tuple(checked_sizes(f"input {i}", sizes) for i, sizes in enumerate(every))


def _batches(batch: Any) -> list[int]:
    if batch is None:
        return []
    several = isinstance(batch, Sequence) and not isinstance(batch, str)
    found = [as_int(size) for size in (batch if several else [batch])]
    good = [size for size in found if size is not None and size >= 1]
    if not found or len(good) != len(found):
        raise UserError(
            f"batch: found {batch!r}, expected a positive number such as 8, or several such as (1, 2, 4, 8)"
        )
    _check_once(good, what="batch")
    return good


def _check_once(found: Sequence[Any], *, what: str) -> None:
    twice = next((one for i, one in enumerate(found) if one in found[:i]), None)
    if twice is not None:
        raise UserError(f"{what}: found {twice} twice, expected each once")
    if len(found) > _MOST_SHAPES:
        raise UserError(f"{what}: found {len(found)}, expected at most {_MOST_SHAPES}: each has a program of its own")


def _found(value: Any) -> str:
    return printable(f"{type(value).__name__} {value!r}"[:80])


# --- one shape -------------------------------------------------------------------------------------------------------


def _request(model: Any, examples: tuple[Any, ...] | None, sizes: Sizes | None, batch: int | None) -> Request:
    if is_onnx_file(model):
        # an example of another shape is for the shape that it has
        return Shaped(Path(model), sizes or {}, batch), _fitting_onnx(examples, sizes, batch)
    if isinstance(model, ExportedProgram):
        wanted = input_sizes(model, sizes, batch=batch, examples=examples)
        return fixed(model, wanted), None if examples is None else _examples(examples, wanted)
    if not isinstance(model, torch.nn.Module):
        return model, examples
    wanted = _of_module(model, sizes, examples, batch)
    return model, _examples(examples, wanted)


def _fitting_onnx(examples: Any, sizes: Sizes | None, batch: int | None) -> Any:
    if examples is None or (sizes is None and all(len(x) == batch for x in examples if x.ndim)):
        return examples
    given = [tuple(x.shape) for x in examples]
    known = list(sizes.values() if isinstance(sizes, Mapping) else sizes or ())
    if batch is not None:
        known = [(batch, *each[1:]) for each in known]
    return examples if known == given else None


def _of_module(
    model: torch.nn.Module, sizes: Sizes | None, examples: tuple[Any, ...] | None, batch: int | None
) -> tuple[tuple[int, ...], ...]:
    """Sizes of a module's inputs: as said, else those of the examples."""
    known = None if examples is None else tuple(tuple(x.shape) for x in examples)
    if isinstance(sizes, Mapping):
        parameters = inspect.signature(model.forward).parameters
        needed = [name for name, one in parameters.items() if one.default is one.empty or name in sizes]
        names = needed if known is None else list(parameters)[: len(known)]
        unknown = next((name for name in sizes if name not in names), None)
        if unknown is not None:
            raise UserError(
                f"shapes: {printable(unknown)!r} is no argument of the model's forward, expected of: {', '.join(names)}"
            )
        missing = [name for name in names if name not in sizes] if known is None else []
        if missing:
            raise UserError(f"shapes: found no sizes for {missing[0]}, expected some for each input")
        found = tuple(sizes.get(name, known[i] if known else ()) for i, name in enumerate(names))
    elif sizes is not None:
        found = sizes
    elif known is not None:
        found = known
    else:
        raise UserError(
            "batch: a torch.nn.Module needs example_inputs with it, or shapes=: they say the sizes besides the batch"
        )
    return tuple((batch, *each[1:]) for each in found) if batch is not None else found


def _examples(examples: tuple[Any, ...] | None, wanted: Sequence[tuple[int, ...]]) -> tuple[Any, ...]:
    """Example inputs of a shape: the caller's images as far as they go, and random ones like them."""
    generator = torch.Generator().manual_seed(0)
    if examples is None or len(examples) != len(wanted):
        return tuple(torch.randn(sizes, generator=generator) for sizes in wanted)
    return tuple(_example(x, sizes, generator) for x, sizes in zip(examples, wanted, strict=True))


def _example(x: Any, sizes: tuple[int, ...], generator: torch.Generator) -> Any:
    if tuple(x.shape) == sizes:
        return x
    if x.is_floating_point():
        made = torch.randn(sizes, generator=generator) * (x.std() if x.numel() > 1 else 1.0) + x.mean()
    else:
        made = torch.randint(int(x.min()), int(x.max()) + 1, sizes, generator=generator)
    made = made.to(x.dtype)
    if x.ndim == len(sizes) > 0 and tuple(x.shape[1:]) == sizes[1:]:
        count = min(len(x), sizes[0])
        made[:count] = x[:count]
    return made
