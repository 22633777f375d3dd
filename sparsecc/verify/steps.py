"""Verify a network of 8-bit codes step by step: each is fed with what the library itself computed before it.

A code may be one off where the value that it was rounded from is beside the middle between two codes: float32 sums in
another order fall to the other side. Everything else is a bug.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsecc.artefact import Artefact
from sparsecc.errors import VerificationError
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.program import Ref
from sparsecc.ir.tensor_type import FLOAT16
from sparsecc.lower.quantized import boundary
from sparsecc.lower.table import KERNELS
from sparsecc.verify.compare import Array, relative_error
from sparsecc.verify.run import Run
from sparsecc.verify.trace import all_outputs, pixels_of

#: share of the codes of an operator without a kernel of its own that may be one off: nobody knows what was rounded
_MOST_OFF = 1e-3
#: how much more of a step's largest sum than of the network's largest output may be rounding of half precision: the
#: largest of a million of sums of 64 terms was seen to be 2.2e-3
_MARGIN = 2


@dataclass(frozen=True)
class _Step:
    """A node, what it read and wrote in the library, and the C name of its kernel."""

    node: PlacedNode
    symbol: str
    inputs: tuple[Array, ...]
    found: Array


def check_steps(artefact: Artefact, placed: Placed, example: Sequence[Array], *, tolerance: float, run: Run) -> str:
    """Hold every step against its reference; return what was found, for the report.

    Raises
    ------
    VerificationError
        Names the first step that is wrong.
    """
    tolerance = _MARGIN * tolerance if placed.is_half else tolerance
    codes = off = count = 0
    for step in _steps(artefact, placed, example, run):
        operator = step.node.operator
        inputs = step.inputs if operator.kernel == "generic" else tuple(map(_single, step.inputs))
        expected = KERNELS[operator.kernel].reference(operator, artefact.module, inputs)
        _check_range(step, np.asarray(expected))
        allowed = tolerance * _scale(operator, artefact, inputs, np.asarray(expected))
        wrong, differ = _judge(step, np.asarray(expected).reshape(step.found.shape), allowed)
        if wrong:
            raise VerificationError(
                f"the library computes something else than it should: step {step.node.key} ({operator}, kernel "
                f"{step.symbol}): {wrong}; please report it with the model"
            )
        count += 1
        is_coded = np.issubdtype(step.found.dtype, np.integer)
        codes, off = codes + is_coded * step.found.size, off + differ
    return (
        f"each of {count} kernel calls was held against its reference, with what the library computed before it: "
        + (f"{off} of {codes} codes are one step away, all others equal" if codes else f"all within {tolerance:.0e}")
    )


def _check_range(step: _Step, expected: Array) -> None:
    """Refuse a network whose values half precision can't hold."""
    if step.found.dtype != np.float16:
        return
    finite = np.abs(expected[np.isfinite(expected)]).astype(np.float64)
    most, largest = float(np.finfo(np.float16).max), float(finite.max(initial=0))
    if largest > most:
        raise VerificationError(
            f"half precision: results of step {step.node.key} ({step.node.operator}) reach {largest:.3g}, found more "
            f"than {most:.0f}, which is the most that it holds; compile without dtype='float16' (--fp16), or scale the "
            "network's weights"
        )


def _scale(operator: Any, artefact: Artefact, inputs: Sequence[Array], expected: Array) -> float:
    """How much larger a layer's sums are than its result: an activation's bounds hide what rounding is relative to."""
    if operator.types[:1] != (FLOAT16,) or operator.kernel not in ("conv", "linear", "depthwise"):
        return 1.0
    sums = KERNELS[operator.kernel].reference(replace(operator, epilogue=Epilogue()), artefact.module, inputs[:1])
    found, largest = (float(np.abs(values[np.isfinite(values)]).max(initial=0)) for values in (expected, sums))
    return max(1.0, largest / found) if found else 1.0


def _single(values: Array) -> Array:
    """Half precision as float32: references sum up in the type that they get."""
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _judge(step: _Step, expected: Array, tolerance: float) -> tuple[str, int]:
    """What is wrong, "" for nothing; and how many codes differ."""
    found = step.found
    if not np.issubdtype(found.dtype, np.integer):
        error = relative_error(found, expected)
        return f"found an error of {error:.1e}, expected at most {tolerance:.1e}" if error > tolerance else "", 0
    apart = np.abs(found.astype(np.int32) - expected.astype(np.int32))
    differ = int(np.count_nonzero(apart))
    if step.node.operator.kernel == "qpool":  # nothing is rounded
        return f"found {differ} codes that are not the largest of their windows" * (differ > 0), differ
    if apart.max(initial=0) > 1:
        return f"found codes {apart.max()} steps away, expected at most one", differ
    if step.node.operator.kernel == "generic":
        most = max(1, int(_MOST_OFF * found.size))
        return f"found {differ} of {found.size} codes one off, expected at most {most}" * (differ > most), differ
    operator: Any = step.node.operator
    clear = apart.astype(bool) & ~boundary(operator, step.inputs).reshape(found.shape)
    far = int(np.count_nonzero(clear))
    return f"found {far} codes one off that are not beside the middle between two" * (far > 0), differ


def _steps(artefact: Artefact, placed: Placed, example: Sequence[Array], run: Run) -> Iterator[_Step]:
    """All but copies, and those whose input somebody writes over."""
    program = artefact.program
    results = run(all_outputs(artefact))
    nodes = [node for node in placed.nodes if node.operator.kernel]
    writes = Counter(step.args[step.writes[0]] for step in program.steps)
    memory = _Memory(artefact, placed, [*results, *example], nodes)
    for node, step in zip(nodes, program.steps, strict=False):
        refs = [memory.ref(tensor) for tensor in (*node.inputs, node.output)]
        if not node.operator.is_copy and all(writes[ref] < 2 for ref in refs):
            yield _Step(node, step.symbol, tuple(map(memory.value, node.inputs)), memory.value(node.output))


class _Memory:
    """Values of tensors after a run."""

    def __init__(self, artefact: Artefact, placed: Placed, arrays: list[Array], nodes: list[PlacedNode]) -> None:
        program = artefact.program
        self._placed, self._arrays = placed, arrays
        self._first = {"output": 0, "buffer": len(program.outputs), "input": len(arrays) - len(program.inputs)}
        self._refs = {tensor: Ref("input", i) for i, tensor in enumerate(placed.inputs)}
        self._refs.update((n.output, s.args[s.writes[0]]) for n, s in zip(nodes, program.steps, strict=False))
        idle = (node for node in placed.nodes if not node.operator.kernel or node.operator.is_copy)
        self._sources = {node.output: node.inputs[0] for node in idle}

    def ref(self, tensor: int) -> Ref:
        """Where the tensor is that one is, or is a view or a copy of."""
        return self._refs[self._made_of(tensor)]

    def value(self, tensor: int) -> NDArray[Any]:
        """Its elements, in its shape."""
        ref, source = self.ref(tensor), self._made_of(tensor)
        buffer = self._arrays[self._first[ref.place] + ref.index].reshape(-1)
        return pixels_of(buffer, self._placed.layouts[source]).reshape(self._placed.shapes[tensor])

    def _made_of(self, tensor: int) -> int:
        while tensor in self._sources:
            tensor = self._sources[tensor]
        return tensor
