"""How every kernel begins: a function on named buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sparsecc._tvm import IRBuilder, PrimFunc, T

#: shape and dtype of a buffer
Kind = tuple[tuple[int], str]


def kernel(parameters: Iterable[tuple[str, Kind]], body: Callable[[dict[str, Any]], None]) -> PrimFunc:
    """Build a kernel: ``body`` emits its code for the buffers of its parameters, by name."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        body({name: T.arg(name, T.buffer(*kind)) for name, kind in parameters})
    return builder.get()


def floats(count: int) -> Kind:
    """A buffer of so many float32."""
    return (count,), "float32"


def elements(count: int, dtype: str) -> Kind:
    """A buffer of so many elements of a type."""
    return (count,), dtype
