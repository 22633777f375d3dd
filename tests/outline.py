"""A kernel's statements as a text that can be read: loops with their kind, and what is stored from what."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from sparsecc._tvm import Call, PrimFunc, s_tir, structural_walk, tirx, tvm

_KINDS = {0: "for", 1: "parallel", 2: "vector", 3: "unrolled"}


def outline(func: PrimFunc) -> str:
    """Loops as ``kind name extent:``, stores as ``buffer = buffers that are read``; blocks as what is in them."""
    return "\n".join(_lines(func.body)) + "\n"


def text(expected: str) -> str:
    """An expected outline as it stands in a test."""
    return textwrap.dedent(expected).lstrip("\n")


def _lines(node: Any) -> Iterator[str]:
    if isinstance(node, tirx.SeqStmt):
        for statement in node.seq:
            yield from _lines(statement)
    elif isinstance(node, tirx.For):
        yield from _nested(f"{_KINDS[int(node.kind)]} {node.loop_var.name} {_short(node.extent)}:", node.body)
    elif isinstance(node, s_tir.SBlockRealize):
        if node.block.init is not None:
            yield from _nested(f"at the start of {node.block.name_hint}:", node.block.init)
        yield from (f"room for {buffer.name}" for buffer in node.block.alloc_buffers)
        yield from _lines(node.block.body)
    elif isinstance(node, tirx.BufferStore):
        yield f"{node.buffer.name} = {_reads(node.value)}"
    elif isinstance(node, tirx.AllocBuffer):
        yield f"room for {node.buffer.name}"
    elif isinstance(node, tirx.AttrStmt):
        yield from _nested(f"with {node.attr_key}:", node.body)
    elif isinstance(node, tirx.IfThenElse):
        yield from _nested("if:", node.then_case)
        if node.else_case is not None:
            yield from _nested("else:", node.else_case)
    elif not isinstance(node, tirx.Bind | tirx.DeclBuffer):
        yield type(node).__name__


def _nested(head: str, body: Any) -> Iterator[str]:
    yield head
    yield from (f"    {line}" for line in _lines(body))


def _reads(value: Any) -> str:
    found: list[str] = []
    rules = [(tvm.ir.TensorLoad, lambda load: found.append(load.source.name))]
    structural_walk(value, rules)
    return ", ".join(dict.fromkeys(found)) or _short(value)


def _short(value: Any) -> str:
    return str(value.value) if isinstance(value, tirx.IntImm | tirx.FloatImm) else "..."
