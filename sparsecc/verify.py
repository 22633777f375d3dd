"""Compare a compiled library with PyTorch, and when they differ find the first layer that does."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx
from torch.utils._pytree import tree_leaves

from sparsecc.errors import VerificationError
from sparsecc.facts.layer import ConvLayer
from sparsecc.facts.layout import PlaneLayout
from sparsecc.facts.program import Port, Program, Ref, Step
from sparsecc.importer import Imported
from sparsecc.pipeline import Artefact
from sparsecc.runtime import Library, load
from sparsecc.runtime.scratch import scratch_folder

Array = NDArray[Any]

#: errors within this factor of PyTorch's own are of the same kind
_SAME_KIND = 8

_LARGER = "pass a larger tolerance (verify=, on the command line --tolerance)"


def check(library: Library, artefact: Artefact, imported: Imported, *, tolerance: float, cc: str | None) -> float:
    """Run library and PyTorch on the example.

    The library runs on NaN first, so that a kernel which reads what the run before left in memory is found out.

    Returns
    -------
    float
        Largest difference of an output relative to its largest expected value.

    Raises
    ------
    VerificationError
        It is above ``tolerance``; the message names the first layer that differs.
    """
    library(*(np.full(x.shape, np.nan, np.float32) for x in imported.example))
    strict = _is_finite(imported)
    pairs = zip(outputs(library, imported), reference(imported), strict=True)
    error = max(relative_error(found, expected, strict=strict) for found, expected in pairs)
    if error <= tolerance:
        return error
    raise VerificationError(
        f"the library differs from PyTorch by {error:.1e} of the largest output, more than {tolerance:.1e}; "
        f"{first_difference(artefact, imported, tolerance=tolerance, cc=cc)}; {_advice(imported, error)}"
    )


def _advice(imported: Imported, error: float) -> str:
    """What to do about a difference: a network that amplifies rounding errors shows it in PyTorch's own results."""
    own = _rounding(imported)
    if own is not None and own * _SAME_KIND > error:
        return (
            f"PyTorch's float32 result is {own:.1e} from its float64 one, so the network itself amplifies rounding "
            f"errors (often batch norm over channels without variance); {_LARGER}"
        )
    return f"please report it with the model, or {_LARGER}"


def _is_finite(imported: Imported) -> bool:
    """No layer has weights or biases that are NaN or infinite."""
    layers = (layer for layer in imported.layers.values() if isinstance(layer, ConvLayer))
    return all(np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all() for layer in layers)


def _rounding(imported: Imported) -> float | None:
    """How far PyTorch's float32 results are from its float64 ones; None for programs that can't run in float64."""
    try:
        with torch.no_grad():
            # a copy: the module shares its weights with the program
            model = copy.deepcopy(imported.program.module()).double()
            result = model(*(x.double() for x in imported.example))
    except RuntimeError:  # a constant of the graph stayed float32
        return None
    pairs = zip(reference(imported), tensors_of(result), strict=True)
    return max(relative_error(single, double.numpy()) for single, double in pairs)


def relative_error(found: Array, expected: Array, *, strict: bool = True) -> float:
    """Largest absolute difference over the largest absolute expected value.

    Where PyTorch has NaN or infinity nothing is compared: it multiplies them with pruned zeros, which we skip. Unless
    ``strict`` the same goes for where we have them: we multiply weights with zeros of padding, which it skips.
    """
    finite = np.isfinite(expected) & (strict | np.isfinite(found))
    if not finite.any():
        return 0.0
    if not np.isfinite(found[finite]).all():
        return float("inf")
    difference = float(np.abs(found[finite] - expected[finite]).max())
    return difference / (float(np.abs(expected[finite]).max()) or 1.0)


def outputs(library: Library, imported: Imported) -> tuple[Array, ...]:
    """The library's results for the example."""
    return tensors_of(library(*(x.numpy() for x in imported.example)))


def first_difference(artefact: Artefact, imported: Imported, *, tolerance: float, cc: str | None) -> str:
    """Name the first layer whose result differs, by running the network with every tensor as an output."""
    expected, strict = _intermediates(imported), _is_finite(imported)
    for step, before, found in _traced(artefact, imported, cc=cc):
        node = artefact.origins.get(step.key)
        if node is None or node not in expected:
            continue
        order = artefact.orders.get(step.key)
        own = found if order is None else order.undone(found)
        error = relative_error(own.reshape(expected[node].shape), expected[node], strict=strict)
        if error > tolerance:
            which = " or ".join([step.key, *(f"{key}, whose result it replaces" for key in before)])
            return f"the first layer that differs is {which} (kernel {step.symbol}, error {error:.1e})"
    return "no single layer differs by that much: the error builds up"


def reference(imported: Imported) -> tuple[Array, ...]:
    """PyTorch's results for the example."""
    with torch.no_grad():
        result = imported.program.module()(*imported.example)
    return tuple(r.numpy() for r in tensors_of(result))


def tensors_of(result: Any) -> tuple[Any, ...]:
    """Tensors or arrays of a result in the order of the library's outputs, however they are packed."""
    return tuple(leaf for leaf in tree_leaves(result) if leaf is not None)


def _intermediates(imported: Imported) -> dict[str, Array]:
    """Value of every node of the exported program, by the node's name."""
    values: dict[str, Array] = {}

    class Recorder(fx.Interpreter):  # type: ignore[misc]  # torch's types are not followed
        def run_node(self, n: fx.Node) -> Any:
            result = super().run_node(n)
            if isinstance(result, torch.Tensor):
                values[n.name] = result.detach().numpy()
            return result

    program = imported.program
    lifted = {**program.constants, **program.state_dict}
    signature = program.graph_signature
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    names.update(signature.inputs_to_lifted_tensor_constants)
    example = iter(imported.example)
    arguments = [
        lifted[names[node.name]] if node.name in names else next(example)
        for node in program.graph.nodes
        if node.op == "placeholder"
    ]
    with torch.no_grad():
        Recorder(program.graph_module).run(*arguments)
    return values


def _traced(artefact: Artefact, imported: Imported, *, cc: str | None) -> Iterator[tuple[Step, tuple[str, ...], Array]]:
    """Every step whose result is still there at the end, keys of those that wrote there before, contiguous pixels."""
    program = artefact.program
    with scratch_folder() as folder:
        path = folder / "trace.so"
        replace(artefact, program=_all_outputs(program)).link(path, cc=cc)
        with load(path, threads=1) as library:
            results = outputs(library, imported)
    written = [step.args[step.writes[0]] for step in program.steps]
    for i, (step, layout) in enumerate(zip(program.steps, artefact.layouts, strict=False)):
        ref = written[i]
        if ref in written[i + 1 :]:
            continue
        before = tuple(program.steps[j].key for j in range(i) if written[j] == ref)
        index = ref.index + (len(program.outputs) if ref.place == "buffer" else 0)
        yield step, before, _pixels(results[index], layout)


def _all_outputs(program: Program) -> Program:
    """The program with every buffer turned into an output, so that none is overwritten."""

    def turn(ref: Ref) -> Ref:
        return Ref("output", len(program.outputs) + ref.index) if ref.place == "buffer" else ref

    steps = tuple(
        replace(
            step,
            args=tuple(map(turn, step.args)),
            pads=tuple(replace(pad, ref=turn(pad.ref)) for pad in step.pads),
        )
        for step in program.steps
    )
    ports = tuple(Port(f"buffer_{i}", (nbytes // 4,)) for i, nbytes in enumerate(program.buffers))
    return replace(program, outputs=program.outputs + ports, structure=None, buffers=(), steps=steps)


def _pixels(buffer: Array, layout: PlaneLayout | None) -> Array:
    """The image's pixels out of a padded buffer; phase layouts are copies that no layer is compared by."""
    if layout is None or layout.is_plain or layout.is_split:
        return buffer
    planes = (buffer.size - layout.lead - layout.tail) // layout.plane
    body = buffer[layout.lead : layout.lead + planes * layout.plane].reshape(planes, layout.plane)
    rows = body[:, : layout.h * layout.pitch].reshape(planes, layout.h, layout.pitch)
    return rows[:, :, : layout.w]
