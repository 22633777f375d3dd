"""What the user should know about a translated model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch.export import ExportedProgram

from sparsecc.ir.layer import ConvLayer, Layer, convolutions
from sparsecc.text import printable


def notes_on(program: ExportedProgram, layers: Iterable[Layer]) -> list[str]:
    """Inputs that the model writes to, and strange numbers where the analysis of weights does not look."""
    names = sorted(program.graph_signature.user_inputs_to_mutate.values())
    notes = [f"the model changes its input {name} in place: the compiled network leaves it as it is" for name in names]
    return notes + [note for layer in convolutions(layers) for note in _strange_numbers(layer)]


def _strange_numbers(layer: ConvLayer) -> list[str]:
    arrays = [("biases", layer.bias)]
    if layer.spec.is_depthwise:
        arrays.append(("weights", layer.weight))
    return [
        f"layer {printable(layer.name)}: {count} {what} are {kind}"
        for what, array in arrays
        for kind, count in (
            ("NaN or infinite", np.count_nonzero(~np.isfinite(array))),
            ("denormal", np.count_nonzero((array != 0) & (np.abs(array) < np.finfo(np.float32).tiny))),
        )
        if count
    ]
