"""Compare a compiled library with PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def reference(program: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[Any, ...]:
    """Outputs of the exported program."""
    with torch.no_grad():
        result = program.module()(*inputs)
    results = result if isinstance(result, (tuple, list)) else (result,)
    return tuple(r.numpy() for r in results)


def relative_error(found: Any, expected: Any) -> float:
    """Largest absolute difference over the largest absolute expected value."""
    scale = float(np.abs(expected).max()) if expected.size else 0.0
    difference = float(np.abs(found - expected).max()) if expected.size else 0.0
    return difference / scale if scale > 0 else difference


def verify(library: Any, program: Any, inputs: tuple[torch.Tensor, ...]) -> float:
    """Largest relative error over all outputs."""
    found = library(*(x.numpy() for x in inputs))
    found = found if isinstance(found, tuple) else (found,)
    return max(relative_error(f, e) for f, e in zip(found, reference(program, inputs), strict=True))
