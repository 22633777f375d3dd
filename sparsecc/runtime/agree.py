"""Do a library's description and its code say the same? Memory is laid out by the one and written by the other."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

from sparsecc.errors import LibraryError
from sparsecc.untrusted import shown

_Facts = Iterator[tuple[str, Any, Any]]


def check_agreement(functions: ctypes.CDLL, description: dict[str, Any], *, name: str) -> None:
    """Raise LibraryError unless the loaded functions name the description's inputs, outputs, steps, target and version.

    Parameters
    ----------
    functions : ctypes.CDLL
        The loaded library.
    description : dict
        Its description, of which all members are checked.
    name : str
        What to call the file.
    """
    table = _Table(functions, prefix=description["name"])
    for what, said, found in _facts(description, table):
        if said != found:
            raise LibraryError(
                f"{name}: damaged: its description says {what} {shown(said)}, its code {shown(found)}; "
                "copy or compile the file again"
            )


class _Table:
    """What the C functions say."""

    def __init__(self, functions: ctypes.CDLL, *, prefix: str) -> None:
        self._functions, self._prefix = functions, prefix

    def number(self, function: str, *index: int) -> int:
        return int(self._call(ctypes.c_int, function, *index))

    def text(self, function: str, *index: int) -> str:
        value: bytes | None = self._call(ctypes.c_char_p, function, *index)
        return "" if value is None else value.decode("utf-8", "replace")

    def shape(self, function: str, *index: int, rank: int) -> list[int]:
        return list(self._call(ctypes.POINTER(ctypes.c_int64), function, *index)[:rank])

    def _call(self, result: Any, function: str, *index: int) -> Any:
        call = self._functions[f"{self._prefix}_{function}"]
        call.restype, call.argtypes = result, [ctypes.c_int] * len(index)
        return call(*index)


def _facts(description: dict[str, Any], table: _Table) -> _Facts:
    """What it is, what the description says, what the code says; a port's shape only after its rank."""
    for member in ("target", "version"):
        yield member, description[member], table.text(member)
    for kind in ("input", "output"):
        yield from _port_facts(kind, description[f"{kind}s"], table)
    steps = description["steps"]
    yield "num_steps", len(steps), table.number("num_steps")
    for i, step in enumerate(steps):
        yield f"step_key({i})", step["key"], table.text("step_key", i)
    if "shapes" in description:
        yield from _shape_facts(description["shapes"], table)


def _shape_facts(shapes: list[dict[str, Any]], table: _Table) -> _Facts:
    """Sizes and steps of all shapes after the first, which has been told."""
    yield "num_shapes", len(shapes), table.number("num_shapes")
    for number, shape in enumerate(shapes[1:], 1):
        for kind in ("input", "output"):
            for i, sizes in enumerate(shape[f"{kind}s"]):
                found = table.shape(f"shape_{kind}", number, i, rank=len(sizes))
                yield f"shape_{kind}({number}, {i})", sizes, found
        yield f"shape_num_steps({number})", len(shape["steps"]), table.number("shape_num_steps", number)
        for i, step in enumerate(shape["steps"]):
            yield f"shape_step_key({number}, {i})", step["key"], table.text("shape_step_key", number, i)


def _port_facts(kind: str, ports: list[dict[str, Any]], table: _Table) -> _Facts:
    yield f"num_{kind}s", len(ports), table.number(f"num_{kind}s")
    for i, port in enumerate(ports):
        yield f"{kind}_name({i})", port["name"], table.text(f"{kind}_name", i)
        yield f"{kind}_dtype({i})", port["dtype"], table.text(f"{kind}_dtype", i)
        yield f"{kind}_rank({i})", len(port["shape"]), table.number(f"{kind}_rank", i)
        yield f"{kind}_shape({i})", port["shape"], table.shape(f"{kind}_shape", i, rank=len(port["shape"]))
