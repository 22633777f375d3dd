"""Does a network compute each image of a batch by itself? Only then a batch may be computed in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from sparsecc.errors import unforeseen
from sparsecc.importer import Imported
from sparsecc.verify.compare import Array
from sparsecc.verify.reference import reference

#: of the largest result: batches of other sizes are summed in other orders
_ROUNDING = 1e-3


def computes_apart(imported: Sequence[Imported]) -> bool:
    """Whether PyTorch's result for an image is the same at another place of the batch, among other images.

    Tried with the smallest batch of two images or more; False where there is none, or where an input or an output has
    no dimension for the batch.
    """
    batches = [(one, _batch(one)) for one in imported]
    tried = min((pair for pair in batches if pair[1] > 1), key=lambda pair: pair[1], default=None)
    if tried is None or not all(batch for _, batch in batches):
        return False
    one = tried[0]
    with unforeseen("verify"):
        moved = reference(replace(one, example=tuple(map(_moved, one.example))))
        return all(_is_close(after[1], before[0]) for before, after in zip(reference(one), moved, strict=True))


def _batch(imported: Imported) -> int:
    """The leading dimension that all inputs and outputs have; 0 where they have none in common."""
    leading = {port.shape[0] if port.shape else 0 for port in (*imported.inputs, *imported.outputs)}
    return leading.pop() if len(leading) == 1 else 0


def _moved(x: torch.Tensor) -> torch.Tensor:
    """The first image in the second place, others around it."""
    others = x[1:].flip(0)
    others = others * -0.5 if x.is_floating_point() else others
    return torch.cat([others[:1], x[:1], others[1:]])


def _is_close(found: Array, expected: Array) -> bool:
    largest = np.nanmax(np.abs(expected), initial=0.0)
    return bool(np.allclose(found, expected, rtol=0.0, atol=_ROUNDING * max(float(largest), 1e-30), equal_nan=True))
