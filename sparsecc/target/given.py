"""A target of the user's own: a file of facts."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sparsecc.errors import TargetError
from sparsecc.target.checks import check_range
from sparsecc.target.cores import CORES
from sparsecc.target.given_core import given_core
from sparsecc.target.model import Target
from sparsecc.untrusted import MalformedError, parse_json, read_file, shown

#: what a file's name ends with
SUFFIX = ".json"
_BASE = "like"
#: of a file, and of a name for which a near one is looked up
_MOST_BYTES, _MOST_LETTERS = 1 << 20, 80
#: what a target of LLVM may say: texts, and a list of them
_LLVM_TEXTS, _LLVM_LISTS = ("kind", "mtriple", "mcpu", "mabi", "mfloat-abi"), ("mattr",)
#: beyond what any processor has: of registers a config may use all, of the rest only quotients are taken
_MOST_REGISTERS, _MOST_NUMBER = 256, 1e15
_NAMES = tuple(field.name for field in fields(Target))


def read_target(path: Path, known: Mapping[str, Target]) -> Target:
    """Read a target from a JSON file.

    The file is one object: ``name``, ``like`` (a target of ours that has all that is not said), and any other fields
    of :class:`Target`. ``llvm`` is added to that of the base, entry by entry; ``core_model`` is as
    :func:`~sparsecc.target.given_core.given_core` has it.

    Raises
    ------
    TargetError
        The file can't be read, is not such an object, or a field is unknown or has a value that it can't have.
    """
    try:
        data = parse_json(read_file(path, most_bytes=_MOST_BYTES))
    except OSError as error:
        raise TargetError(f"target: can't read {path}: {error.strerror}; expected a JSON file of facts") from error
    except MalformedError as error:
        raise TargetError(f"target {path}: {error}; expected an object such as {_EXAMPLE}") from error
    if not isinstance(data, dict):
        raise TargetError(f"target {path}: found {type(data).__name__}, expected an object such as {_EXAMPLE}")
    return _made(path, data, known)


_EXAMPLE = '{"name": "my-board", "like": "rpi4", "l2_bytes": 524288}'


def _made(path: Path, data: dict[str, Any], known: Mapping[str, Target]) -> Target:
    for name in data:
        if name not in (*_NAMES, _BASE):
            near = difflib.get_close_matches(name[:_MOST_LETTERS], [*_NAMES, _BASE], n=1, cutoff=0.3) or [_BASE]
            expected = f"expected some of {', '.join((_BASE, *_NAMES))}; nearest: {near[0]!r}"
            raise TargetError(f"target {path}: found the unknown field {shown(name)}, {expected}")
    facts = dict(data)
    base = facts.pop(_BASE, None)
    if not isinstance(base, str) or base not in known:
        near = difflib.get_close_matches(str(base)[:_MOST_LETTERS], known, n=1, cutoff=0.3) or list(known)[:1]
        raise TargetError(
            f"target {path}: {_BASE}: found {shown(base)}, expected one of {', '.join(known)}; nearest: {near[0]!r}"
        )
    if facts.get("name") in (None, *known):
        expected = "expected a name that none of ours has, as 'my-board'"
        raise TargetError(f"target {path}: name: found {shown(facts.get('name'))}, {expected}")
    return _replaced(path, known[base], facts)


def _replaced(path: Path, base: Target, facts: dict[str, Any]) -> Target:
    llvm = facts.get("llvm", {})
    if not isinstance(llvm, dict):
        found = f"llvm: found {shown(llvm)}"
        raise TargetError(f"target {path}: {found}, expected an object such as {{'mcpu': 'cortex-a72'}}")
    _check_llvm(path, llvm)
    _check_numbers(path, facts)
    if "core_model" in facts:
        own, named = base.core_model, str(facts["name"])
        facts["core_model"] = given_core(path, facts["core_model"], base=own, named=named, known=CORES)
    facts["llvm"] = {**base.llvm, **llvm}
    if isinstance(facts.get("cpu_features"), list):
        facts["cpu_features"] = tuple(facts["cpu_features"])
    try:
        return replace(base, **facts)
    except TargetError as error:
        raise TargetError(f"{path}: {error}") from error


def _check_llvm(path: Path, llvm: dict[str, Any]) -> None:
    """Entries that TVM knows, of their types: what it says of others names neither file nor field."""
    for name, value in llvm.items():
        if name not in (*_LLVM_TEXTS, *_LLVM_LISTS):
            found = f"llvm: found the unknown entry {shown(name)}"
            raise TargetError(f"target {path}: {found}, expected some of {', '.join((*_LLVM_TEXTS, *_LLVM_LISTS))}")
        is_list = isinstance(value, list) and all(isinstance(part, str) for part in value)
        if not (is_list if name in _LLVM_LISTS else isinstance(value, str)):
            expected = "a list of texts" if name in _LLVM_LISTS else "a text"
            raise TargetError(f"target {path}: llvm: {name}: found {shown(value)}, expected {expected}")


def _check_numbers(path: Path, facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        most = _MOST_REGISTERS if name == "registers" else _MOST_NUMBER
        check_range(f"target {path}: {name}", value, most=most)
