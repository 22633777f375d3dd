"""Names of weights that PyTorch can write into code.

An exported program is traced again by code that PyTorch writes and runs, with lines such as ``getattr(self, "layer")``.
It puts names there as they are: one with a quote or a line break is a syntax error, and one that was made for it runs
what it says. So every name that is more than letters, digits, ``_`` and ``.`` is replaced before. Layers keep theirs:
those are in the nodes' own records.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch.export import ExportedProgram

from sparsecc.importer.programs import rebuilt

_PLAIN = re.compile(r"[A-Za-z_0-9]+(\.[A-Za-z_0-9]+)*", re.ASCII)


def with_safe_names(program: ExportedProgram) -> ExportedProgram:
    """A program whose parameters, buffers and constants have plain names; itself if they do already."""
    signature = program.graph_signature
    targets = [spec.target for spec in (*signature.input_specs, *signature.output_specs) if spec.target is not None]
    new = _renamed([*targets, *program.state_dict, *program.constants])
    if not new:
        return program
    renamed = copy.deepcopy(signature)
    for spec in (*renamed.input_specs, *renamed.output_specs):
        if spec.target is not None:
            spec.target = new.get(spec.target, spec.target)
    return rebuilt(
        program,
        signature=renamed,
        state=_with_keys(program.state_dict, new),
        constants=_with_keys(program.constants, new),
    )


def _renamed(names: Iterable[str]) -> dict[str, str]:
    """Old name -> a plain one, for those that need it."""
    every = dict.fromkeys(names)
    new: dict[str, str] = {}
    for name in every:
        if not _PLAIN.fullmatch(name):
            number = len(new)
            while (plain := f"renamed_{number}") in every:
                number += len(every)
            new[name] = plain
    return new


def _with_keys(values: Mapping[str, Any], new: Mapping[str, str]) -> dict[str, Any]:
    return {new.get(name, name): value for name, value in values.items()}
