"""Which kind of model somebody named, and the shapes that its inputs shall have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsecc.errors import ModelError, UserError, missing_package
from sparsecc.text import printable
from sparsecc.untrusted import is_onnx

if TYPE_CHECKING:
    from sparsecc.importer.onnx.model import OnnxModel

#: an extent that no tensor of floats has
_MOST = 1 << 40


@dataclass(frozen=True)
class Shaped:
    """An ONNX file and the shapes of its inputs, by name or in order; ``batch`` is all inputs' leading dimension."""

    path: Path
    shapes: Mapping[str, tuple[int, ...]] | Sequence[tuple[int, ...]]
    batch: int | None = None


def with_shapes(model: Any, shapes: Mapping[str, Sequence[int]] | None) -> Any:
    """A model with the shapes that ``shapes=`` of :func:`sparsecc.compile` says; itself without.

    Raises
    ------
    UserError
        It is no ONNX file, or ``shapes`` are none.
    """
    if shapes is None:
        return model
    if not is_onnx_file(model):
        raise UserError("shapes: found them with a model that is no ONNX file; pass example_inputs of these shapes")
    if not isinstance(shapes, Mapping):
        raise UserError(f"shapes: found {type(shapes).__name__}, expected a dict such as {{'x': (1, 3, 224, 224)}}")
    return Shaped(Path(model), {name: checked_sizes(name, shape) for name, shape in shapes.items()})


def is_onnx_file(model: Any) -> bool:
    """Whether a model is named as an ONNX file."""
    return isinstance(model, str | Path) and is_onnx(Path(model))


def checked_sizes(name: Any, shape: Any) -> tuple[int, ...]:
    """The sizes of an input as integers from 1 on; UserError if they are none."""
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else ()
    good = all(isinstance(size, int) and not isinstance(size, bool) and 0 < size < _MOST for size in sizes)
    if not isinstance(name, str) or not isinstance(shape, Sequence) or isinstance(shape, str) or not good:
        raise UserError(
            f"shapes: found {shape!r} for {printable(str(name))}, expected sizes from 1, such as (1, 3, 224, 224)"
        )
    return sizes


def onnx_model(model: Any, example_inputs: Sequence[Any] | None) -> OnnxModel | None:
    """The network of an ONNX file; None for every other model.

    Raises
    ------
    ModelError, NotSupportedError
        The file is damaged, or has what is not translated.
    UserError
        The package that reads ONNX is not installed.
    """
    if is_onnx_file(model):
        model = Shaped(Path(model), {})
    if not isinstance(model, Shaped):
        return None
    if not model.path.is_file():
        found = "is a folder" if model.path.is_dir() else "no such file"
        raise ModelError(f"{model.path}: {found}; expected an ONNX file")
    try:
        from sparsecc.importer.onnx.model import open_onnx
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    return open_onnx(model.path, model.shapes, example_inputs, batch=model.batch)
