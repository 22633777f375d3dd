"""The core of a user's own target: the name of one of ours, or what differs from one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from sparsecc.errors import TargetError
from sparsecc.target.checks import check_range
from sparsecc.target.core import Core
from sparsecc.untrusted import shown

_BASE = "like"
_NAMES = tuple(field.name for field in fields(Core))
#: beyond what any core has; of registers a config may use all
_MOST_CYCLES, _MOST_REGISTERS = 1e6, 64
_MOST_LETTERS = 80


def given_core(path: Path, given: object, *, base: Core, named: str, known: Mapping[str, Core]) -> Core:
    """The core that a target file says.

    Parameters
    ----------
    path : Path
        Of the file, for messages.
    given : object
        A name, or an object: ``like`` (a core of ours, else ``base``) and any other fields of :class:`Core`. Whose
        numbers these are the file may say with ``name`` and ``source``.
    base : Core
        Of the target that the file's is like.
    named : str
        What the target is called.
    known : mapping
        Our cores by name.

    Raises
    ------
    TargetError
        There is no such core or field, or a field has a value that it can't have.
    """
    if isinstance(given, str):
        return _named(path, given, known)
    if not isinstance(given, dict):
        expected = 'the name of a core or an object such as {"like": "zen-4", "issue_width": 8}'
        raise TargetError(f"target {path}: core_model: found {shown(given)}, expected {expected}")
    changed = dict(given)
    if _BASE in changed:
        base = _named(path, changed.pop(_BASE), known)
    for name, value in changed.items():
        if name not in _NAMES:
            near = difflib.get_close_matches(name[:_MOST_LETTERS], [*_NAMES, _BASE], n=1, cutoff=0.3) or [_BASE]
            expected = f"expected some of {', '.join((_BASE, *_NAMES))}; nearest: {near[0]!r}"
            raise TargetError(f"target {path}: core_model: found the unknown field {shown(name)}, {expected}")
        most = _MOST_REGISTERS if name == "spare_registers" else _MOST_CYCLES
        check_range(f"target {path}: core_model: {name}", value, most=most)
    whose = {"name": named, "source": f"taken from {base.name}, changed by {path.name}"}
    try:
        return replace(base, **{**whose, **changed})
    except TargetError as error:
        raise TargetError(f"target {path}: {error}") from error


def _named(path: Path, name: object, known: Mapping[str, Core]) -> Core:
    if isinstance(name, str) and name in known:
        return known[name]
    near = difflib.get_close_matches(str(name)[:_MOST_LETTERS], known, n=1, cutoff=0.3) or list(known)[:1]
    expected = f"expected one of {', '.join(known)}; nearest: {near[0]!r}"
    raise TargetError(f"target {path}: core_model: found {shown(name)}, {expected}")
