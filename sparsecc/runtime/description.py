"""A description that may have been edited: every member that is used has the type and range that is expected of it."""

from __future__ import annotations

import math
import re
from typing import Any

from sparsecc.errors import LibraryError
from sparsecc.runtime.format import FORMAT
from sparsecc.runtime.structure import parse_structure
from sparsecc.untrusted import MalformedError, check_members, entries, parse_json, shown, text, texts, whole_number
from sparsecc.untrusted import whole_numbers as sizes
from sparsecc.untrusted.meta import check_meta
from sparsecc.untrusted.numbers import as_float

_DAMAGED = "copy or compile the file again"
_TEXTS = ("name", "target", "version", "triple")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
#: of the types that a tensor may have, as NumPy calls them: bytes of an element
_ELEMENT_BYTES = {
    "float32": 4, "float64": 8, "float16": 2, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
#: beyond what any machine has: more would not fit the arithmetic of C or NumPy
_MOST_BYTES = 1 << 47
_MOST_RANK = 32


def read_text(content: bytes, *, name: str) -> dict[str, Any]:
    """The description in the bytes of its section, checked.

    Raises
    ------
    LibraryError
        It is no such text, of another format, or a member is missing or has a value that it can't have.
    """
    try:
        description = check_members(parse_json(content.partition(b"\0")[0]), needed=["format"])
        found = whole_number(description, "format")
    except MalformedError as error:
        raise LibraryError(f"{name}: its description is damaged: {error}; {_DAMAGED}") from error
    if found != FORMAT:
        age = "an older" if found < FORMAT else "a newer"
        what = f"library format {found}, made by {age} sparsecc; this one reads format {FORMAT}"
        raise LibraryError(f"{name}: {what}; compile the network again or use the matching version of sparsecc")
    try:
        _check(description)
    except ValueError as error:  # one of ours, or what the structure has
        raise LibraryError(f"{name}: its description is damaged: {error}; {_DAMAGED}") from error
    return description


def _check(description: dict[str, Any]) -> None:
    for member in _TEXTS:
        text(description, member)
    if not _NAME.fullmatch(description["name"]):
        raise MalformedError(f"name: found {shown(description['name'])}, expected the prefix of C functions")
    texts(description, "cpu_features")
    for member in ("network", "build", "dtype"):
        if member in description:
            text(description, member)
    _at("meta", check_meta, description.get("meta", {}))
    for member in ("arena_bytes", "weight_bytes"):
        whole_number(description, member, least=0, most=_MOST_BYTES)
    for member in ("inputs", "outputs"):
        for i, port in enumerate(entries(description, member)):
            _check_port(port, where=f"{member}[{i}]")
    if "structure" not in description:
        raise MalformedError("'structure' is missing")
    parse_structure(description["structure"], outputs=len(description["outputs"]))
    _check_steps(description, where="steps")
    if "shapes" in description:
        for i, shape in enumerate(entries(description, "shapes")):
            _at(f"shapes[{i}]", lambda shape, i=i: _check_shape(shape, description, is_first=not i), shape)


def _check_steps(owner: dict[str, Any], *, where: str) -> None:
    for i, step in enumerate(entries(owner, "steps")):
        _at(f"{where}[{i}]", lambda step: [text(check_members(step, needed=()), m) for m in ("key", "kernel")], step)


def _check_shape(shape: Any, description: dict[str, Any], *, is_first: bool) -> None:
    """One of several shapes: sizes of all inputs and outputs; of others than the first also its own steps."""
    members = check_members(shape, needed=("inputs", "outputs", *(() if is_first else ("steps", "reported"))))
    for kind in ("inputs", "outputs"):
        ports, found = description[kind], entries(members, kind)
        if len(found) != len(ports):
            raise MalformedError(f"{kind}: found {len(found)}, expected {len(ports)} as the library has")
        for i, (port, extents) in enumerate(zip(ports, found, strict=True)):
            _check_port({**port, "shape": extents}, where=f"{kind}[{i}]")
            if len(extents) != len(port["shape"]):
                raise MalformedError(f"{kind}[{i}]: found {len(extents)} sizes, expected {len(port['shape'])}")
    if not is_first:
        _check_steps(members, where="steps")


def _check_port(port: Any, *, where: str) -> None:
    _at(where, _port, port)


def _port(port: Any) -> None:
    members = check_members(port, needed=("name", "shape", "dtype"))
    text(members, "name")
    shape = sizes(members, "shape", least=0, most=_MOST_BYTES)
    element = _ELEMENT_BYTES.get(text(members, "dtype"))
    if element is None:
        raise MalformedError(f"dtype: found {shown(members['dtype'])}, expected one of {', '.join(_ELEMENT_BYTES)}")
    if members.get("layout", "nhwc") != "nhwc":
        raise MalformedError(f"layout: found {shown(members['layout'])}, expected 'nhwc', or none")
    if ("scale" in members) != ("zero_point" in members):
        raise MalformedError("scale: found it without zero_point, or the reverse, expected both or none")
    if "scale" in members:
        scale = as_float(members["scale"])
        if scale is None or not 0 < scale < math.inf:
            raise MalformedError(f"scale: found {shown(members['scale'])}, expected a finite number above 0")
        whole_number(members, "zero_point", least=-128, most=255)
    if len(shape) > _MOST_RANK or math.prod(shape) * element > _MOST_BYTES:
        raise MalformedError(f"shape: found {shown(shape)}, expected less than what a machine can hold")


def _at(where: str, check: Any, value: Any) -> None:
    try:
        check(value)
    except MalformedError as error:
        raise MalformedError(f"{where}: {error}") from error
