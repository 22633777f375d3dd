"""Inputs of an ONNX file: their shapes, where the file leaves them open, are said by the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from sparsecc.errors import ModelError, NotSupportedError
from sparsecc.importer.onnx.elementwise import TYPES
from sparsecc.ir.port_types import EXPECTED, PORT_TYPES
from sparsecc.text import printable
from sparsecc.untrusted import available_bytes

#: extents that are known, names of those that are not
Dims = tuple[int | str, ...]


def input_shapes(
    graph: onnx.GraphProto,
    weights: Mapping[str, Any],
    *,
    shapes: Mapping[str, tuple[int, ...]] | Sequence[tuple[int, ...]],
    examples: Sequence[Any] | None,
    where: str,
    batch: int | None = None,
) -> dict[str, tuple[int, ...]]:
    """Input -> its shape: the file's, the caller's, or that of an example; ``batch`` is the leading dimension of all.

    Raises
    ------
    ModelError
        A shape that is open, one that contradicts the file, a name that is none of an input, too few examples.
    NotSupportedError
        Inputs of a type that no library has.
    """
    values = [value for value in graph.input if value.name not in weights]
    given = dict(shapes if isinstance(shapes, Mapping) else zip((v.name for v in values), shapes, strict=False))
    if len(shapes) > len(values):
        raise ModelError(f"shapes: found {len(shapes)}, expected at most {len(values)}, one for each input of {where}")
    if unknown := [name for name in given if name not in {value.name for value in values}]:
        names = ", ".join(printable(value.name) for value in values) or "none"
        raise ModelError(f"shapes: {printable(unknown[0])!r} is no input of {where}, expected of: {names}")
    if examples is not None:
        if len(examples) != len(values):
            raise ModelError(f"example_inputs: found {len(examples)}, expected {len(values)}, one for each input")
        for value, example in zip(values, examples, strict=True):
            given.setdefault(value.name, tuple(example.shape))
    return {value.name: _shape(value, given.get(value.name), batch, where=where) for value in values}


def input_types(graph: onnx.GraphProto) -> dict[str, Any]:
    """Input -> PyTorch's type of its elements."""
    return {value.name: TYPES.get(value.type.tensor_type.elem_type) for value in graph.input}


def _shape(
    value: onnx.ValueInfoProto, given: tuple[int, ...] | None, batch: int | None, *, where: str
) -> tuple[int, ...]:
    name = printable(value.name)
    dims = _dims(value, name)
    if batch is not None and (given or dims):
        leading: Dims = (batch,)
        whole = leading + (given or dims or ())[1:]
        if given is not None or not any(isinstance(extent, str) for extent in whole):
            given = tuple(int(extent) for extent in whole)
    if given is None:
        if dims is None or any(isinstance(extent, str) for extent in dims):
            raise ModelError(_open(dims, name, where=where))
        given = tuple(int(extent) for extent in dims)
    fits = dims is None or (
        len(dims) == len(given) and all(isinstance(d, str) or d == g for d, g in zip(dims, given, strict=True))
    )
    if not fits:
        raise ModelError(f"input {name}: found shape {given}, expected {_shown(dims or ())} as {where} says")
    size = int(TYPES[value.type.tensor_type.elem_type].itemsize)
    for extent in given:
        size *= extent
    if size > available_bytes():
        raise ModelError(f"input {name}: shape {given} has {size} bytes, more than this machine has memory")
    return given


def _dims(value: onnx.ValueInfoProto, name: str) -> Dims | None:
    """None where not even the number of axes is known."""
    if value.type.WhichOneof("value") != "tensor_type":
        kind = str(value.type.WhichOneof("value") or "nothing").removesuffix("_type")
        raise NotSupportedError(f"input {name}: found {kind}, expected a tensor")
    tensor = value.type.tensor_type
    found = TYPES.get(tensor.elem_type, tensor.elem_type)
    if str(found).removeprefix("torch.") not in PORT_TYPES:
        raise NotSupportedError(f"input {name}: found {found}, expected {EXPECTED}; convert the model")
    if not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else printable(dim.dim_param) or "?" for dim in tensor.shape.dim)


def _open(dims: Dims | None, name: str, *, where: str) -> str:
    if dims is None:
        said, sizes = "has no shape", "1,3,224,224"
    else:
        said = f"has the shape {_shown(dims)}"
        sizes = ",".join("1" if isinstance(extent, str) else str(extent) for extent in dims)
    option = f"--shape {name}={sizes}"
    return (
        f"input {name} of {where} {said}, expected fixed sizes; say which: shapes={{{name!r}: ({sizes})}}, on the "
        f"command line {option}"
    )


def _shown(dims: Dims) -> str:
    return f"({', '.join(map(str, dims))})"
