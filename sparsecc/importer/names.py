"""Names of layers: the module path in the model, and a C identifier made from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import fx

from sparsecc.text import printable

#: names with another meaning: after the library's name its functions, types and data; in Relax the network's function
RESERVED = frozenset(
    {
        "create", "create_lean", "destroy", "run", "profile", "set_threads", "num_inputs", "input_name", "input_dtype",
        "input_rank", "input_shape", "num_outputs", "output_name", "output_dtype", "output_rank", "output_shape",
        "num_steps", "step_key", "target", "version", "describe", "check", "last_error", "weights", "t", "main",
        "num_shapes", "find_shape", "shape_input", "shape_output", "shape_num_steps", "shape_step_key", "run_shape",
        "profile_shape", "num_pieces", "run_batch",
    }
)  # fmt: skip

#: what a layer's class is called that was an operator of an ONNX file, before the operator's name
ONNX = "onnx."

#: characters of an input's or output's name
_LONGEST = 64


#: characters of a longer name that a key keeps of its beginning and of its end
_KEPT = 60


def layer_name(node: fx.Node) -> str:
    """What messages call the layer of ``node``: its :func:`module_path` without control characters."""
    return printable(module_path(node))


def operator_names(node: fx.Node) -> str:
    """What messages call the operator of ``node``: of one that PyTorch made of another also the user's own."""
    *_, (_, kind) = (node.meta.get("nn_module_stack") or {"": ("", "")}).values()
    if isinstance(kind, str) and kind.startswith(ONNX):
        return f"{node.target}, which {printable(kind.removeprefix(ONNX))} of the ONNX file becomes,"
    found = node.meta.get("from_node") or ()
    first = ""
    while found:
        first = str(getattr(found[-1], "target", ""))
        found = getattr(found[-1], "from_node", ())
    if first in ("", str(node.target)) or not first.startswith("aten."):
        return str(node.target)
    return f"{node.target}, which PyTorch makes of {printable(first)},"


def module_path(node: fx.Node) -> str:
    """Path of the innermost module that ``node`` came from, exactly, or the node's own name."""
    stack: dict[str, Any] = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    if not paths:
        return str(node.name)
    return re.sub(r"^L\['self'\]\.?|^L__self___?", "", paths[-1]) or paths[-1]


class Keys:
    """Hands out C identifiers, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> str:
        """A free identifier made from ``name``."""
        stem = re.sub(r"\W", "_", name, flags=re.ASCII)
        stem = stem if len(stem) <= 2 * _KEPT else f"{stem[:_KEPT]}__{stem[-_KEPT:]}"
        stem = stem if stem[:1].isalpha() and stem not in RESERVED else f"layer_{stem}"
        key, count = stem, 1
        while key in self._taken:
            count += 1
            key = f"{stem}_{count}"
        self._taken.add(key)
        return key


def port_names(paths: Sequence[tuple[str | int, ...]], *, kind: str) -> tuple[str, ...]:
    """A name for each input or output, made from the keys and indices that lead to it in the model's result.

    They are joined by ``_``; ``kind`` stands before an index, a digit, and for what has no name. What is neither letter
    (of any script), digit nor ``_`` becomes ``_``. Names longer than 64 characters are cut, and of equal ones the
    second gets ``_2``::

        y -> output                   {"out": y, "a-b": {"c": z}} -> out, a_b_c
        (y, z) -> output_0, output_1  {"p": (y, [z])} -> p_0, p_1_0
    """
    names: dict[str, None] = {}
    for path in paths:
        name = stem = _stem(path, kind)
        count = 1
        while name in names:
            count += 1
            name = f"{stem}_{count}"
        names[name] = None
    return tuple(names)


def _stem(path: tuple[str | int, ...], kind: str) -> str:
    words = re.sub(r"\W", "_", "_".join(map(str, path)))
    if not words:
        return kind
    return (words if words[0].isalpha() or words[0] == "_" else f"{kind}_{words}")[:_LONGEST]
