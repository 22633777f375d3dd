"""Copies a contiguous tensor: for results that are an input, or another result, unchanged."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import PrimFunc, T
from sparsecc.kernels.function import elements, kernel


def copy(size: int, dtype: str = "float32") -> PrimFunc:
    """Build the kernel: ``output[i] = input[i]`` for ``size`` elements; LLVM makes it a memcpy."""

    def body(buffers: dict[str, Any]) -> None:
        x, y = buffers["input"], buffers["output"]
        with T.serial(0, size) as i:
            T.buffer_store(y, x[i], [i])

    return kernel([("input", elements(size, dtype)), ("output", elements(size, dtype))], body)
