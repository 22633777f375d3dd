"""Find the first layer whose result is wrong, by running the network with every tensor as an output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sparsecc.artefact import Artefact
from sparsecc.build import plan_memory
from sparsecc.importer import Imported
from sparsecc.ir.layout import PlaneLayout
from sparsecc.ir.program import Port, Ref, Step
from sparsecc.ir.tensor_type import FLOAT32, TensorType
from sparsecc.verify.compare import Array, Distances, distances, relative_error
from sparsecc.verify.reference import exact_intermediates, intermediates, is_finite
from sparsecc.verify.run import Run


def first_difference(artefact: Artefact, imported: Imported, *, tolerance: float, run: Run) -> str:
    """Name the first layer whose result differs by more than rounding; ``run`` links and runs a network."""
    found = first_wrong(artefact, imported, tolerance=tolerance, run=run)
    return found or "no single layer differs by that much: the error builds up"


def first_wrong(artefact: Artefact, imported: Imported, *, tolerance: float, run: Run) -> str:
    """The same; empty where there is none.

    A layer alone may be a little worse than PyTorch's by chance; the one after it then is not.
    """
    suspect = ""
    for layer, apart in _compared(artefact, imported, tolerance, run):
        if apart is None or apart.is_rounding:
            suspect = ""
        elif suspect or not apart.is_amplified:
            return suspect or layer
        else:
            suspect = layer
    return suspect


def _compared(
    artefact: Artefact, imported: Imported, tolerance: float, run: Run
) -> Iterator[tuple[str, Distances | None]]:
    """Every layer that PyTorch has too, in words, and its distances; None where it differs by less than ``tolerance``.

    Where float64 can't tell, PyTorch is taken to be exact.
    """
    expected, strict = intermediates(imported), is_finite(imported)
    doubles = exact_intermediates(imported)
    for step, before, found in _traced(artefact, run):
        node = artefact.origins.get(step.key)
        if node is None or node not in expected:
            continue
        order, left = artefact.orders.get(step.key), imported.selections.get(node)
        single, double = (
            values if left is None else left.of(values)
            for values in (expected[node], doubles.get(node, expected[node]))
        )
        own = (found if order is None else order.undone(found)).reshape(single.shape)
        error = relative_error(own, single, strict=strict)
        which = " or ".join([step.key, *(f"{key}, whose result it replaces" for key in before)])
        words = f"the first layer that differs is {which} (kernel {step.symbol}, error {error:.1e})"
        differs = error > tolerance
        yield words, distances(own, single, double, strict=strict) if differs else None


def computed(artefact: Artefact, imported: Imported, *, run: Run) -> dict[str, Array]:
    """What the library computed for nodes of the exported program, by their names."""
    found = {}
    for step, _, values in _traced(artefact, run):
        node, order = artefact.origins.get(step.key), artefact.orders.get(step.key)
        if node is not None and node not in imported.selections:
            found[node] = values if order is None else order.undone(values)
    return found


def _traced(artefact: Artefact, run: Run) -> Iterator[tuple[Step, tuple[str, ...], Array]]:
    """Every step whose result is still there at the end, keys of those that wrote there before, contiguous pixels."""
    program = artefact.program
    results = run(all_outputs(artefact))
    written = [step.args[step.writes[0]] for step in program.steps]
    for i, (step, layout) in enumerate(zip(program.steps, artefact.layouts, strict=False)):
        ref = written[i]
        if ref in written[i + 1 :]:
            continue
        before = tuple(program.steps[j].key for j in range(i) if written[j] == ref)
        index = ref.index + (len(program.outputs) if ref.place == "buffer" else 0)
        yield step, before, pixels_of(results[index], layout)


def all_outputs(artefact: Artefact) -> Artefact:
    """The network with every buffer turned into an output, so that none is overwritten."""
    program = artefact.program

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
    types = {step.args[step.writes[0]]: kind for step, kind in zip(program.steps, artefact.types, strict=False)}
    ports = tuple(_port(i, nbytes, types.get(Ref("buffer", i), FLOAT32)) for i, nbytes in enumerate(program.buffers))
    made = replace(program, outputs=program.outputs + ports, structure=None, buffers=(), steps=steps)
    return replace(artefact, program=made, memory=plan_memory(made))


def _port(number: int, nbytes: int, kind: TensorType) -> Port:
    return Port(f"buffer_{number}", (nbytes // kind.nbytes,), kind.dtype)


def pixels_of(buffer: Array, layout: PlaneLayout | None) -> Array:
    """The image's pixels out of a padded buffer; phase layouts are copies that no layer is compared by."""
    if layout is None or layout.is_split:
        return buffer
    if layout.is_plain:
        return buffer[: buffer.size - layout.tail]
    planes = (buffer.size - layout.lead - layout.tail) // layout.plane
    body = buffer[layout.lead : layout.lead + planes * layout.plane].reshape(planes, layout.plane)
    rows = body[:, : layout.h * layout.pitch].reshape(planes, layout.h, layout.pitch)
    return rows[:, :, : layout.w]
