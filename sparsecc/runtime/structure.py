"""How the result of a call is put together from a library's outputs: as the model's was, in dicts, lists and tuples."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sparsecc.errors import InputError

#: more than any network has, and far from what would exhaust Python's stack
MAX_DEPTH = 32


@dataclass(frozen=True)
class ResultStructure:
    """An output, None, or a container of more of these.

    Attributes
    ----------
    kind : str
        ``"output"``, ``"none"``, ``"tuple"``, ``"list"`` or ``"dict"``.
    members : tuple of ResultStructure
        What a container holds.
    keys : tuple of str or int
        A dict's keys, one for each member.
    """

    kind: Literal["output", "none", "tuple", "list", "dict"]
    members: tuple[ResultStructure, ...] = ()
    keys: tuple[str | int, ...] = ()

    def pack(self, outputs: Sequence[Any]) -> Any:
        """The result of a call: every output at its place."""
        return self._pack(iter(outputs))

    def unpack(self, value: Any, *, where: str) -> list[Any]:
        """What stands at the places of the outputs, in order.

        Raises
        ------
        InputError
            ``value`` is not put together like the result of a call; ``where`` and the place in it begin the message.
        """
        if self.kind == "output":
            return [value]
        self._check(value, where)
        labels = self.keys if self.kind == "dict" else range(len(self.members))
        found: list[Any] = []
        for label, member in zip(labels, self.members, strict=True):
            found += member.unpack(value[label], where=f"{where}[{reprlib.repr(label)}]")
        return found

    def _pack(self, outputs: Iterator[Any]) -> Any:
        if self.kind == "output":
            return next(outputs)
        if self.kind == "none":
            return None
        members = [member._pack(outputs) for member in self.members]
        if self.kind == "dict":
            return dict(zip(self.keys, members, strict=True))
        return members if self.kind == "list" else tuple(members)

    def _check(self, value: Any, where: str) -> None:
        count = len(self.members)
        if self.kind == "none":
            fits, expected = value is None, "None"
        elif self.kind == "dict":
            fits = isinstance(value, Mapping) and value.keys() == set(self.keys)
            expected = f"a dict with the keys {reprlib.repr(list(self.keys))}"
        else:
            fits, expected = isinstance(value, tuple | list) and len(value) == count, f"a {self.kind} of {count}"
        if not fits:
            size = f" of {len(value)}" if isinstance(value, tuple | list | Mapping) else ""
            raise InputError(f"{where}: found {type(value).__name__}{size}, expected {expected} as the network returns")


def parse_structure(data: Any, *, outputs: int) -> ResultStructure:
    """Read what a description has under ``structure``.

    Parameters
    ----------
    data
        An output's index, None, ``{"tuple": [...]}``, ``{"list": [...]}`` or ``{"dict": [[key, ...], ...]}`` with more
        of these inside.
    outputs : int
        How many outputs there are; each index stands in it once, in order.

    Raises
    ------
    ValueError
        It is something else.
    """
    indices = iter(range(outputs))
    structure = _parse(data, indices, depth=0)
    left = next(indices, None)
    if left is not None:
        raise ValueError(f"structure: output {left} is not in it")
    return structure


def _parse(data: Any, indices: Iterator[int], *, depth: int) -> ResultStructure:
    if data is None:
        return ResultStructure("none")
    if type(data) is int:
        if data != next(indices, None):
            raise ValueError(f"structure: found output {data} out of order")
        return ResultStructure("output")
    if not isinstance(data, dict) or len(data) != 1 or depth == MAX_DEPTH:
        raise ValueError(f"structure: found {reprlib.repr(data)}, expected one container, at most {MAX_DEPTH} deep")
    ((kind, entries),) = data.items()
    if kind not in ("tuple", "list", "dict") or not isinstance(entries, list):
        raise ValueError(f"structure: found {reprlib.repr(data)}, expected a tuple, list or dict")
    keys = tuple(map(_key, entries)) if kind == "dict" else ()
    if len(set(keys)) != len(keys):
        raise ValueError(f"structure: found a key twice in {reprlib.repr(keys)}")
    members = [entry[1] for entry in entries] if kind == "dict" else entries
    parsed = tuple(_parse(member, indices, depth=depth + 1) for member in members)
    return ResultStructure(cast(Literal["tuple", "list", "dict"], kind), parsed, keys)


def _key(entry: Any) -> str | int:
    if not isinstance(entry, list) or len(entry) != 2 or type(entry[0]) not in (str, int):
        raise ValueError(f"structure: found {reprlib.repr(entry)}, expected a key and what it leads to")
    key: str | int = entry[0]
    return key
