"""A target of the user's own: a file of facts."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sparsecc.errors import TargetError
from sparsecc.target.model import Target

#: what a file's name ends with
SUFFIX = ".json"
_BASE = "like"
_NAMES = tuple(field.name for field in fields(Target))


def read_target(path: Path, known: Mapping[str, Target]) -> Target:
    """Read a target from a JSON file.

    The file is one object: ``name``, ``like`` (a target of ours that has all that is not said), and any other fields
    of :class:`Target`. ``llvm`` is added to that of the base, entry by entry.

    Raises
    ------
    TargetError
        The file can't be read, is not such an object, or a field is unknown or has a value that it can't have.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetError(f"target: can't read {path}: {error.strerror}; expected a JSON file of facts") from error
    except ValueError as error:
        raise TargetError(f"target {path}: not JSON ({error}); expected an object such as {_EXAMPLE}") from error
    if not isinstance(data, dict):
        raise TargetError(f"target {path}: found {type(data).__name__}, expected an object such as {_EXAMPLE}")
    return _made(path, data, known)


_EXAMPLE = '{"name": "my-board", "like": "rpi4", "l2_bytes": 524288}'


def _made(path: Path, data: dict[str, Any], known: Mapping[str, Target]) -> Target:
    for name in data:
        if name not in (*_NAMES, _BASE):
            near = difflib.get_close_matches(name, [*_NAMES, _BASE], n=1, cutoff=0.3) or [_BASE]
            raise TargetError(
                f"target {path}: found the unknown field {name!r}, expected some of {', '.join((_BASE, *_NAMES))}; "
                f"nearest: {near[0]!r}"
            )
    facts = dict(data)
    base = facts.pop(_BASE, None)
    if base not in known:
        near = difflib.get_close_matches(str(base), known, n=1, cutoff=0.3) or list(known)[:1]
        raise TargetError(
            f"target {path}: {_BASE}: found {base!r}, expected one of {', '.join(known)}; nearest: {near[0]!r}"
        )
    if facts.get("name") in (None, *known):
        raise TargetError(
            f"target {path}: name: found {facts.get('name')!r}, expected a name that none of ours has, as 'my-board'"
        )
    return _replaced(path, known[base], facts)


def _replaced(path: Path, base: Target, facts: dict[str, Any]) -> Target:
    llvm = facts.get("llvm", {})
    if not isinstance(llvm, dict):
        raise TargetError(f"target {path}: llvm: found {llvm!r}, expected an object such as {{'mcpu': 'cortex-a72'}}")
    facts["llvm"] = {**base.llvm, **llvm}
    if isinstance(facts.get("cpu_features"), list):
        facts["cpu_features"] = tuple(facts["cpu_features"])
    try:
        return replace(base, **facts)
    except TargetError as error:
        raise TargetError(f"{path}: {error}") from error
