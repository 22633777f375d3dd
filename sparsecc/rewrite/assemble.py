"""Kernels and their arguments become a Program and a set of functions to compile."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc
from sparsecc.ir.placed import Placed, PlacedNode
from sparsecc.ir.program import PadFill, Port, Program, Ref, Step
from sparsecc.kernels.copy import copy
from sparsecc.kernels.shares import shared_iterations
from sparsecc.lower.lowered import Lowered


@dataclass(frozen=True, eq=False)
class Assembled:
    """Everything that the last stage needs: the program and its kernels by C symbol."""

    program: Program
    functions: Mapping[str, PrimFunc]


def assemble(
    name: str,
    placed: Placed,
    lowered: Sequence[tuple[PlacedNode, Lowered]],
    *,
    inputs: tuple[Port, ...],
    outputs: tuple[Port, ...],
) -> Assembled:
    """Give tensors their buffers and equal kernels one symbol.

    Parameters
    ----------
    name : str
        Prefix of every symbol.
    placed : Placed
    lowered : sequence of (PlacedNode, Lowered)
        In order; views are left out.
    inputs, outputs : tuple of Port
    """
    return _Assembly(name, placed).run(lowered, inputs, outputs)


class _Assembly:
    def __init__(self, name: str, placed: Placed) -> None:
        self._name, self._placed = name, placed
        self._functions: dict[str, PrimFunc] = {}
        self._symbols: dict[Hashable, str] = {}
        self._shares: dict[str, int] = {}
        self._weights: list[Any] = []
        self._buffers: list[int] = []
        self._refs: dict[int, Ref] = {}

    def run(
        self, lowered: Sequence[tuple[PlacedNode, Lowered]], inputs: tuple[Port, ...], outputs: tuple[Port, ...]
    ) -> Assembled:
        placed = self._placed
        same = _views(placed)
        for i, tensor in enumerate(placed.inputs):
            self._refs[same.get(tensor, tensor)] = Ref("input", i)
        for i, tensor in enumerate(placed.outputs):
            self._refs.setdefault(same.get(tensor, tensor), Ref("output", i))
        steps = tuple(self._step(node, kernel, same) for node, kernel in lowered) + self._copies(same)
        program = Program(
            name=self._name,
            inputs=inputs,
            outputs=outputs,
            buffers=tuple(self._buffers),
            weights=tuple(self._weights),
            steps=steps,
        )
        return Assembled(program, self._functions)

    def _step(self, node: PlacedNode, kernel: Lowered, same: Mapping[int, int]) -> Step:
        args = tuple(self._tensor(same.get(a, a)) if isinstance(a, int) else self._weight(a) for a in kernel.arguments)
        pads = gaps(node, self._placed, args[-1])
        symbol = self._symbol(node, kernel)
        return Step(
            symbol, node.key, args, writes=(len(args) - 1,), pads=pads,
            shares=self._shares[symbol], cycles=round(kernel.expected),
        )  # fmt: skip

    def _copies(self, same: Mapping[int, int]) -> tuple[Step, ...]:
        """Results that are an input, or another result: they need memory of their own."""
        steps = []
        for i, tensor in enumerate(self._placed.outputs):
            source = self._tensor(same.get(tensor, tensor))
            if source == Ref("output", i):
                continue
            symbol = f"{self._name}_copy_{i}"
            self._functions[symbol] = copy(self._placed.size(tensor), self._placed.type_of(tensor).dtype)
            steps.append(Step(symbol, f"copy_{i}", (source, Ref("output", i)), writes=(1,)))
        return tuple(steps)

    def _symbol(self, node: PlacedNode, kernel: Lowered) -> str:
        if kernel.identity not in self._symbols:
            symbol = f"{self._name}_{node.key}"
            while symbol in self._functions:
                symbol += "_"
            self._symbols[kernel.identity] = symbol
            self._functions[symbol] = kernel.function
            self._shares[symbol] = shared_iterations(kernel.function)
        return self._symbols[kernel.identity]

    def _tensor(self, tensor: int) -> Ref:
        if tensor not in self._refs:
            self._buffers.append(self._placed.nbytes(tensor))
            self._refs[tensor] = Ref("buffer", len(self._buffers) - 1)
        return self._refs[tensor]

    def _weight(self, array: Any) -> Ref:
        self._weights.append(array)
        return Ref("weight", len(self._weights) - 1)


def gaps(node: PlacedNode, placed: Placed, ref: Ref) -> tuple[PadFill, ...]:
    """What is around the pixels of a node's result and its kernel does not write itself: that of a generic operator."""
    layout = placed.layouts[node.output]
    if layout is None or node.operator.clears_gaps or not any(layout.halo):
        return ()
    n, c = placed.shapes[node.output][:2]
    kind = placed.type_of(node.output)
    return (
        PadFill(
            ref, lead=layout.lead, planes=n * c, plane_stride=layout.plane, rows=layout.h,
            row_stride=layout.pitch, row_used=layout.w, tail=layout.tail, element=kind.nbytes,
            fill=kind.fill,
        ),
    )  # fmt: skip


def _views(placed: Placed) -> dict[int, int]:
    """Tensor -> the one whose floats it shares."""
    same: dict[int, int] = {}
    for node in placed.nodes:
        if not node.operator.kernel or node.in_place:
            source = node.inputs[0]
            same[node.output] = same.get(source, source)
    return same
