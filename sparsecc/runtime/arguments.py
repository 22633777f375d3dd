"""The arguments of a call: as many as the network has, each fitting, none in another's way."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from sparsecc.errors import GradientWarning, InputError
from sparsecc.runtime.arrays import as_input, as_output, extent, is_tensor, loses_gradient, new_output
from sparsecc.runtime.ports import Port
from sparsecc.runtime.structure import ResultStructure


def check_inputs(values: Sequence[Any], ports: Sequence[Port], *, library: str) -> list[Any]:
    """Contiguous arrays or tensors, one for each input; InputError names the one that does not fit."""
    _check_count(values, ports, kind="input", library=library)
    pairs = enumerate(zip(values, ports, strict=True))
    return [as_input(value, port, where=f"{library}, input {i} ({port.name})") for i, (value, port) in pairs]


def warn_of_gradients(values: Sequence[Any], ports: Sequence[Port], *, library: str) -> None:
    """Say, at the caller's line, that an input's gradient ends here."""
    for i, (value, port) in enumerate(zip(values, ports, strict=False)):
        if loses_gradient(value):
            text = (
                f"{library}, input {i} ({port.name}): it requires a gradient, but a compiled network has none, and its "
                "result is detached; call it within torch.no_grad(), or with .detach()"
            )
            warnings.warn(text, GradientWarning, stacklevel=_levels_to_caller())
            return


def _levels_to_caller() -> int:
    """What ``stacklevel`` of the function that asks for it must be to name a line outside of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("sparsecc."):
        frame, level = frame.f_back, level + 1
    return level


def new_results(ports: Sequence[Port], *, tensors: bool) -> list[Any]:
    """Fresh memory for every output."""
    return [new_output(port, tensor=tensors) for port in ports]


def is_container(out: Any) -> bool:
    """Whether ``out`` holds arrays rather than being one."""
    return isinstance(out, tuple | list | Mapping)


def is_flat(out: Any) -> bool:
    """Whether ``out`` is a tuple or list of arrays, none in containers of its own."""
    return isinstance(out, tuple | list) and not any(v is None or is_container(v) for v in out)


def check_results(out: Any, ports: Sequence[Port], structure: ResultStructure, *, library: str) -> list[Any]:
    """The caller's ``out`` as a list, one for each output; InputError names the one that can't take a result.

    It is the only array, a tuple of them in the order of the outputs, or put together like the result of a call.
    """
    if is_flat(out):
        values = list(out)
    else:
        values = structure.unpack(out, where=f"{library}, out") if is_container(out) else [out]
    _check_count(values, ports, kind="output", library=library)
    pairs = enumerate(zip(values, ports, strict=True))
    results = [as_output(value, port, where=f"{library}, out {i} ({port.name})") for i, (value, port) in pairs]
    for i, first in enumerate(results):
        for j, second in enumerate(results[:i]):
            if _overlap(first, second):
                raise InputError(f"{library}: out {j} and out {i} share memory; give each output memory of its own")
    return results


def apart(value: Any, results: Sequence[Any]) -> Any:
    """The input, copied if a result will be written over it."""
    if not any(_overlap(value, result) for result in results):
        return value
    return value.clone() if is_tensor(value) else value.copy()


def _check_count(values: Sequence[object], ports: Sequence[Port], *, kind: str, library: str) -> None:
    if len(values) == len(ports):
        return
    names = ", ".join(port.name for port in ports)
    raise InputError(f"{library}: found {len(values)} {kind}(s), expected {len(ports)} ({names})")


def _overlap(a: Any, b: Any) -> bool:
    (start_a, end_a), (start_b, end_b) = extent(a), extent(b)
    return start_a < end_b and start_b < end_a
