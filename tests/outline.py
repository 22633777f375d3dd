"""A kernel's statements as a text that can be read: loops with their kind, and what is stored from what."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sparsecc._tvm import PrimFunc, s_tir, structural_walk, tirx, tvm

_KINDS = {0: "for", 1: "parallel", 2: "vector", 3: "unrolled"}
#: a buffer without a name: accumulators and scratch planes
_OWN = "own"


def outline(func: PrimFunc) -> str:
    """Loops as ``kind extent:``, stores as ``buffer = buffers that are read``; equal neighbours as ``3 x ...``."""
    return "\n".join(_lines(func.body)) + "\n"


def text(expected: str) -> str:
    """An outline as it stands in a test."""
    return textwrap.dedent(expected).lstrip("\n")


def _lines(node: Any) -> list[str]:
    """Of a statement; what has one line under a head is on the head's line."""
    lines = []
    for head, inner in _parts(node):
        if not inner:
            lines.append([head])
        elif all(line.startswith(" ") for line in inner[1:]):  # one statement
            lines.append([f"{head} {inner[0]}", *inner[1:]])
        else:
            lines.append([head, *(f"    {line}" for line in inner)])
    return [line for same, group in groupby(lines) for line in _counted(same, len(list(group)))]


def _counted(lines: list[str], count: int) -> list[str]:
    return lines if count == 1 else [f"{count} x {lines[0]}", *lines[1:]]


def _parts(node: Any) -> Iterator[tuple[str, list[str]]]:
    """Head and inner lines of every statement."""
    if isinstance(node, tirx.SeqStmt):
        for statement in node.seq:
            yield from _parts(statement)
    elif isinstance(node, tirx.For):
        yield f"{_KINDS[int(node.kind)]} {_short(node.extent)}:", _lines(node.body)
    elif isinstance(node, s_tir.SBlockRealize):
        yield from ((f"room for {buffer.name or _OWN}", []) for buffer in node.block.alloc_buffers)
        if node.block.init is not None:
            yield "at the start:", _lines(node.block.init)
        yield from _parts(node.block.body)
    elif isinstance(node, tirx.BufferStore):
        yield f"{node.buffer.name or _OWN} = {_reads(node.value)}", []
    elif isinstance(node, tirx.AllocBuffer):
        on_stack = " on the stack" if "disable_lower_builtin" in node.annotations else ""
        yield f"room for {node.buffer.name or _OWN}{on_stack}", []
    elif isinstance(node, tirx.AttrStmt):
        yield f"{node.attr_key}:", _lines(node.body)
    elif isinstance(node, tirx.IfThenElse):
        yield "if:", _lines(node.then_case)
        if node.else_case is not None:
            yield "else:", _lines(node.else_case)
    elif isinstance(node, tirx.Evaluate):
        yield "call", []
    elif not isinstance(node, tirx.Bind | tirx.DeclBuffer):
        raise AssertionError(f"an outline has no words for {type(node).__name__}")


def _reads(value: Any) -> str:
    found: list[str] = []
    structural_walk(value, (tvm.ir.TensorLoad, lambda load: found.append(load.source.name or _OWN)))
    return ", ".join(dict.fromkeys(found)) or _short(value)


def _short(value: Any) -> str:
    return f"{value.value:g}" if isinstance(value, tirx.IntImm | tirx.FloatImm) else "..."
