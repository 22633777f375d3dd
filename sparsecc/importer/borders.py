"""Another form of a network's inputs and outputs: channels last, or 8-bit codes in the place of float32.

The exported program is changed, and all that follows knows nothing of it: the reference that results are verified with
has the same inputs and outputs as the library.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from sparsecc.errors import NotSupportedError, UserError
from sparsecc.importer.arguments import arguments
from sparsecc.importer.checks import user_inputs
from sparsecc.importer.constants import fold_constants
from sparsecc.importer.names import layer_name
from sparsecc.importer.programs import rebuilt
from sparsecc.ir.program import Port

_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
_QUANTIZE, _DEQUANTIZE = "quantized_decomposed.quantize_per_tensor.", "quantized_decomposed.dequantize_per_tensor."
_CODES = {torch.uint8: "uint8", torch.int8: "int8"}


@dataclass(frozen=True)
class Borders:
    """What inputs and outputs shall be.

    Attributes
    ----------
    layout : str
        ``"nchw"``, PyTorch's, or ``"nhwc"``: channels of a pixel side by side.
    ports : str
        ``"float"``, the model's own types, or ``"codes"``: 8-bit codes where the model quantizes an input first, and
        dequantizes an output last.
    """

    layout: str = "nchw"
    ports: str = "float"


AS_THEY_ARE = Borders()


@dataclass(frozen=True)
class Form:
    """How an input or output differs from the model's own: whether channels are last, and what codes stand for."""

    is_last: bool = False
    scale: float | None = None
    zero_point: int | None = None
    codes: str = ""
    low: int = 0
    high: int = 0

    def of(self, value: torch.Tensor) -> torch.Tensor:
        """A value of the model's in this form."""
        if self.scale is not None:
            steps = torch.round(value * (1.0 / self.scale)) + self.zero_point
            value = steps.clamp(self.low, self.high).to(getattr(torch, self.codes))
        return value.permute(_TO_LAST).contiguous() if self.is_last else value

    def port(self, port: Port) -> Port:
        """A port of the changed program, with what its user should know."""
        layout = "nhwc" if self.is_last else ""
        return replace(port, layout=layout, scale=self.scale, zero_point=self.zero_point)


@dataclass(frozen=True)
class Bordered:
    """A program with other inputs and outputs, and how they differ."""

    program: ExportedProgram
    inputs: tuple[Form, ...]
    outputs: tuple[Form, ...]
    notes: tuple[str, ...] = ()


def with_borders(program: ExportedProgram, borders: Borders) -> Bordered:
    """Give a program other inputs and outputs.

    Before::

        y = conv(dequantize(quantize(x)))              x: float32 (n, c, h, w)

    After::

        y = permute(conv(dequantize(permute(x))))      x: uint8 (n, h, w, c); y: (n, h, w, c)

    Raises
    ------
    UserError
        No input and no output can have the form that was asked for.
    """
    change = _Change(program)
    notes: tuple[str, ...] = ()
    if borders.ports == "codes":
        notes = change.to_codes()
    if borders.layout == "nhwc":
        change.to_last()
    return replace(change.result(), notes=notes)


class _Change:
    """A copy of a program that is being changed."""

    def __init__(self, program: ExportedProgram) -> None:
        self._program = program
        self._module = copy.deepcopy(program.graph_module)
        self._graph = self._module.graph
        inputs = set(user_inputs(program))
        known = fold_constants(program)
        pairs = list(zip(program.graph.nodes, self._graph.nodes, strict=True))
        for old, new in pairs:  # a copy's nodes may have other names, which the signature does not know
            new.name = old.name
        self._inputs = [new for old, new in pairs if old in inputs]
        self._constants = {new: known[old] for old, new in pairs if old in known}
        specs = program.graph_signature.output_specs
        results = self._graph.output_node().args[0]
        kinds = [spec.kind is OutputKind.USER_OUTPUT for spec in specs]
        self._places = [
            i for i, (one, kind) in enumerate(zip(results, kinds, strict=True)) if kind and isinstance(one, fx.Node)
        ]
        self._in: list[Form] = [Form()] * len(self._inputs)
        self._out: list[Form] = [Form()] * len(self._places)

    def result(self) -> Bordered:
        """The program."""
        if not any(form != Form() for form in (*self._in, *self._out)):
            return Bordered(self._program, tuple(self._in), tuple(self._out))
        self._graph.eliminate_dead_code()
        self._module.recompile()
        made = rebuilt(self._program, module=self._module)
        return Bordered(made, tuple(self._in), tuple(self._out))

    def to_last(self) -> None:
        """Channels last, of all inputs and outputs with four axes."""
        outputs = self._outputs()
        if not any(_rank(node) == 4 for node in (*self._inputs, *outputs)):
            raise UserError(
                "layout: found 'nhwc', but no input and no output has four axes (batch, channels, rows, columns); "
                "leave it out"
            )
        for i, node in enumerate(self._inputs):
            if _rank(node) == 4:
                inner = node.meta["val"]
                node.meta["val"] = inner.permute(_TO_LAST).contiguous()
                self._convert(node, lambda node: self._permuted(node, _TO_FIRST))
                self._in[i] = replace(self._in[i], is_last=True)
        for i, node in enumerate(outputs):
            if _rank(node) == 4:
                with self._graph.inserting_before(self._graph.output_node()):
                    self._return(i, self._permuted(node, _TO_LAST))
                self._out[i] = replace(self._out[i], is_last=True)

    def to_codes(self) -> tuple[str, ...]:
        """Codes where the model has them at once; notes on what stays float32."""
        notes = []
        for i, node in enumerate(self._inputs):
            readers = list(node.users)
            forms = {self._form(reader) for reader in readers if _is(reader, _QUANTIZE)}
            if len(forms) != 1 or not all(_is(reader, _QUANTIZE) for reader in readers):
                notes.append(f"input {node.name} stays {_type(node)}: the model does not quantize it first")
                continue
            (self._in[i],) = forms
            node.meta["val"] = node.meta["val"].to(getattr(torch, self._in[i].codes))
            for reader in readers:
                reader.replace_all_uses_with(node)
                self._graph.erase_node(reader)
        for i, node in enumerate(self._outputs()):
            if not _is(node, _DEQUANTIZE):
                notes.append(f"output {node.name} stays {_type(node)}: the model does not dequantize it last")
                continue
            self._out[i] = self._form(node)
            self._return(i, node.args[0])
        if len(notes) == len(self._inputs) + len(self._places):
            raise UserError(
                f"ports: found 'codes', but {notes[0]}; quantize the model first (sparsecc.quantize), or leave it out"
            )
        return tuple(notes)

    def _form(self, node: fx.Node) -> Form:
        """What the codes of a quantize or dequantize stand for."""
        _, scale, zero_point, low, high, dtype = arguments(node, 6, [None] * 6)
        where = f"layer {layer_name(node)}: {node.target}"
        if dtype not in _CODES:
            raise NotSupportedError(f"{where}: found codes of {dtype}, expected torch.uint8 or torch.int8")
        values = [self._constants[value].item() if value in self._constants else value for value in (scale, zero_point)]
        if any(isinstance(value, fx.Node) for value in values):
            raise NotSupportedError(f"{where}: found a scale that depends on the input, expected a constant")
        return Form(False, float(values[0]), int(values[1]), _CODES[dtype], low, high)

    def _outputs(self) -> list[Any]:
        results: Any = self._graph.output_node().args[0]
        return [results[place] for place in self._places]

    def _return(self, index: int, node: Any) -> None:
        results = list(self._graph.output_node().args[0])
        results[self._places[index]] = node
        self._graph.output_node().args = (tuple(results),)

    def _convert(self, node: fx.Node, make: Callable[[fx.Node], fx.Node]) -> None:
        """Let what reads an input read what is made of it."""
        readers = list(node.users)
        with self._graph.inserting_before(self._first_call()):
            made = make(node)
        for reader in readers:
            reader.replace_input_with(node, made)

    def _first_call(self) -> fx.Node:
        return next(node for node in self._graph.nodes if node.op != "placeholder")

    def _permuted(self, node: Any, axes: Sequence[int]) -> fx.Node:
        moved = self._graph.call_function(torch.ops.aten.permute.default, (node, list(axes)))
        moved.meta["val"] = node.meta["val"].permute(axes)
        # PyTorch's view refuses what lies in memory in another order
        made = self._graph.call_function(
            torch.ops.aten.clone.default, (moved,), {"memory_format": torch.contiguous_format}
        )
        made.meta["val"] = moved.meta["val"].contiguous()
        return made


def _is(node: Any, name: str) -> bool:
    return isinstance(node, fx.Node) and str(node.target).startswith(name)


def _rank(node: Any) -> int:
    return len(node.meta["val"].shape)


def _type(node: Any) -> str:
    return str(node.meta["val"].dtype).removeprefix("torch.")
