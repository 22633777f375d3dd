"""The importer's entry: a PyTorch model becomes a Relax function and the facts of its layers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import fx
from torch.export import ExportedProgram

from sparsecc._tvm import ExportedProgramImporter, IRModule, quiet_if_unfinished, relax
from sparsecc.analyse.impose import Impose
from sparsecc.errors import NotSupportedError, unforeseen
from sparsecc.importer import operators
from sparsecc.importer.batchnorm import BATCH_NORMS, foldable_norms, norm_of
from sparsecc.importer.borders import AS_THEY_ARE, Borders, Form, with_borders
from sparsecc.importer.checks import check_result, user_inputs
from sparsecc.importer.code_arguments import check_codes, check_readers
from sparsecc.importer.codes import CODES, moved
from sparsecc.importer.constants import constant_nodes, fold_constants
from sparsecc.importer.context import Context
from sparsecc.importer.decompositions import simpler
from sparsecc.importer.export import Model, run_decompositions, to_exported
from sparsecc.importer.idioms import find_idioms
from sparsecc.importer.impose import Keep, has_empty_channels, impose_on
from sparsecc.importer.integers import (
    INTEGER,
    TYPES,
    begin,
    name_of,
    on_integers,
    operator_of,
    picked,
    relax_type,
    result,
)
from sparsecc.importer.known_shapes import with_known_shapes
from sparsecc.importer.models import onnx_model
from sparsecc.importer.names import layer_name, operator_names, port_names
from sparsecc.importer.notes import notes_on
from sparsecc.importer.outputs import Outputs, outputs_of
from sparsecc.importer.selections import without_selections
from sparsecc.importer.shapes import affine
from sparsecc.ir.channel_order import ChannelSelection
from sparsecc.ir.layer import Layer
from sparsecc.ir.program import Port
from sparsecc.text import printable

if TYPE_CHECKING:
    from sparsecc.importer.onnx.model import OnnxModel

_TYPES = frozenset(value for value in vars(torch).values() if isinstance(value, torch.dtype))
#: how often operators that simpler ones were expressed by may be made simpler still
_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Imported:
    """What the rest of the compiler starts from.

    Attributes
    ----------
    module : IRModule
        Relax function ``main``; layers with kernels of their own are calls by key, the rest Relax operators.
    layers : mapping of str to Layer
        Key -> facts.
    inputs, outputs : tuple of Port
    structure : JSON-ready
        How the model's result is put together from the outputs, as :class:`sparsecc.ir.program.Program` has it.
    example : tuple of torch.Tensor
        Inputs to verify with.
    program : ExportedProgram
        What was translated.
    original : ExportedProgram
        The program before operators were expressed by others: the reference when results are verified.
    notes : tuple of str
        What the user should know.
    origins : mapping
        Relax variable -> name of the program's node with the same value.
    selections : mapping of str to ChannelSelection
        Name of a program's node -> which of its channels the network still has, where they are not all.
    keeps_channels : bool
        Whether channels stay even where nobody needs them: a pattern was put on layers that have none of that kind.
    has_codes : bool
        Whether values are quantized to 8-bit codes and back.
    onnx : OnnxModel or None
        The file that ``original`` was made of, if it computes the same but for the form of inputs and outputs.
    forms : tuple of Form
        How the outputs differ from the model's own.
    """

    module: IRModule
    layers: Mapping[str, Layer]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    structure: Any
    example: tuple[torch.Tensor, ...]
    program: ExportedProgram
    original: ExportedProgram
    notes: tuple[str, ...]
    origins: Mapping[Any, str]
    selections: Mapping[str, ChannelSelection] = field(default_factory=dict)
    keeps_channels: bool = False
    has_codes: bool = False
    onnx: OnnxModel | None = None
    forms: tuple[Form, ...] = ()


@unforeseen("import")
def import_model(
    model: Model,
    example_inputs: Sequence[Any] | None = None,
    *,
    impose: Impose | None = None,
    keep: Keep = lambda weight: weight,
    borders: Borders = AS_THEY_ARE,
) -> Imported:
    """Translate a model.

    Parameters
    ----------
    model : torch.nn.Module, ExportedProgram, path of a .pt2 or .onnx file, or Shaped
    example_inputs : sequence of tensor, optional
        Required for a module.
    impose : Impose, optional
        A pattern to put on the layers first; the caller's weights stay as they are.
    keep : callable, optional
        Takes each weight with the pattern, and gives an equal array to use in its place: one on disk, say.
    borders : Borders
        Layout and types of inputs and outputs; example inputs are the model's own whatever these are.

    Raises
    ------
    ModelError, NotSupportedError
        The message names the operator and the layer.
    """
    onnx = onnx_model(model, example_inputs)
    if onnx is not None:
        model, example_inputs = onnx.program, onnx.example
    program, example, notes = to_exported(model, example_inputs)
    bordered = with_borders(program, borders)
    program = bordered.program
    example = tuple(form.of(x) for form, x in zip(bordered.inputs, example, strict=True))
    is_plain = impose is not None and not has_empty_channels(program)
    original = program if impose is None else impose_on(program, impose, keep=keep)
    program = _decompose_unknown(without_selections(with_known_shapes(original)))
    builder = relax.BlockBuilder()
    ctx = Context(builder, fold_constants(program))
    check_codes(program, ctx.is_constant)
    inputs, returned = user_inputs(program), outputs_of(program)
    params = [relax.Var(node.name, relax_type(node.meta["val"])) for node in inputs]
    with quiet_if_unfinished(builder), builder.function("main", params):
        ctx.values.update(zip(inputs, params, strict=True))
        with builder.dataflow():
            for node in inputs:
                begin(ctx, node)
            results = _translate(ctx, program, returned)
            outputs = builder.emit_output(relax.Tuple(results))
        builder.emit_func_output(outputs)
    return Imported(
        module=ctx.finished(builder.get()),
        layers=ctx.layers,
        inputs=_ports(inputs, port_names(_input_paths(inputs, onnx), kind="input"), bordered.inputs),
        outputs=_ports(
            returned.nodes,
            returned.names if onnx is None else port_names([(name,) for name in onnx.outputs], kind="output"),
            bordered.outputs,
        ),
        structure=returned.structure,
        example=example,
        program=program,
        original=original,
        notes=(*notes, *bordered.notes, *notes_on(program, ctx.layers.values())),
        origins=ctx.origins,
        keeps_channels=is_plain,
        has_codes=any(operator_of(node) in CODES for node in program.graph.nodes),
        onnx=onnx if impose is None else None,
        forms=bordered.outputs,
    )


def _input_paths(inputs: Sequence[fx.Node], onnx: OnnxModel | None) -> list[tuple[str]]:
    return [(name,) for name in (onnx.inputs if onnx else [node.name for node in inputs])]


def _ports(nodes: Sequence[fx.Node], names: Sequence[str], forms: Sequence[Form]) -> tuple[Port, ...]:
    values = [node.meta["val"] for node in nodes]
    ports = [Port(name, tuple(x.shape), name_of(x.dtype)) for name, x in zip(names, values, strict=True)]
    return tuple(form.port(port) for form, port in zip(forms, ports, strict=True))


def _known(name: str) -> bool:
    if name in operators.FOLDING or name in operators.LAYERS or any(name in table for table in operators.TABLES):
        return True
    return name in operators.FROM_RELAX | operators.IGNORED | BATCH_NORMS


def _other_types(node: fx.Node) -> Container[torch.dtype]:
    """What a result may be beside float32; any type of an operator that is refused by its name anyway."""
    name = operator_of(node)
    if name in CODES or name in operators.INTEGER:
        return (torch.bool, *TYPES)
    if not _is_call(node) or name in operators.TRUTH:
        return (torch.bool, *TYPES) if name in operators.MOVES or not _is_call(node) else (torch.bool,)
    return () if _known(name) else _TYPES


def _is_call(node: fx.Node) -> bool:
    return bool(node.op == "call_function" and node.target is not operator.getitem)


def _decompose_unknown(program: ExportedProgram) -> ExportedProgram:
    """Let PyTorch express operators that we don't know by simpler ones, where it can."""
    for _ in range(_ROUNDS):
        constants = constant_nodes(program)
        unknown = {
            n.target for n in program.graph.nodes if _is_call(n) and n not in constants and not _known(operator_of(n))
        }
        table = simpler(unknown)
        if not table:
            break
        program = run_decompositions(program, table)
    return program


def _translate(ctx: Context, program: ExportedProgram, returned: Outputs) -> list[Any]:
    folded = foldable_norms(ctx, program, operators.FOLDING, operator_of)
    idioms = find_idioms(program, operators.IDIOMS, operator_of)
    inside = {node for idiom in idioms.values() for node in idiom.inside}
    relax_importer = ExportedProgramImporter()
    relax_importer.block_builder = ctx.builder
    relax_importer.env = ctx.values

    def again(ctx: Context, node: fx.Node) -> Any:
        return _translate_node(ctx, node, folded, relax_importer)

    for node in program.graph.nodes:
        if _is_call(node) and operator_of(node) in operators.MOVES and not ctx.is_constant(node) and node not in inside:
            ctx.movable[node] = again
    for node in program.graph.nodes:
        if node.op == "call_function" and not ctx.is_constant(node) and node not in inside:
            with unforeseen(f"layer {layer_name(node)}: operator {node.target}"):
                check_result(node, other_types=_other_types(node))
                if _is_call(node) and operator_of(node) not in operators.MOVES | operators.SPLITS | CODES.keys():
                    check_readers(node, lambda source: source in ctx.integers or ctx.is_constant(source))
                ctx.values[node] = idioms[node].translate(ctx) if node in idioms else _translated(ctx, node, again)
    return _results(ctx, program, returned)


def _translated(ctx: Context, node: fx.Node, translate: Callable[[Context, fx.Node], Any]) -> Any:
    """With codes in the place of the values that they stand for, where that gives the same."""
    moves = _is_call(node) and operator_of(node) in operators.MOVES | operators.SPLITS
    if node.target is operator.getitem:
        return picked(ctx, node)
    reads = any(source in ctx.integers for source in node.all_input_nodes) and operator_of(node) not in CODES
    if operator_of(node) in INTEGER or reads:
        return on_integers(ctx, node, translate, moves=moves)
    return moved(ctx, node, translate) if moves and ctx.codes else translate(ctx, node)


def _results(ctx: Context, program: ExportedProgram, returned: Outputs) -> list[Any]:
    """Results as variables, of the types that they have in PyTorch."""
    mutated = sorted(program.graph_signature.buffers_to_mutate.values())
    if mutated:
        raise NotSupportedError(f"model: it changes its own state while running ({', '.join(map(printable, mutated))})")
    return [result(ctx, node) for node in returned.nodes]


def _translate_node(ctx: Context, node: fx.Node, folded: Mapping[fx.Node, fx.Node], relax_importer: Any) -> Any:
    name = operator_of(node)
    if node.target is operator.getitem:
        return ctx.value(node.args[0])[node.args[1]]
    if name in operators.IGNORED:
        return None
    if name in BATCH_NORMS:
        if node in folded.values():
            return (ctx.value(node.args[0]),)
        return (affine(ctx, ctx.value(node.args[0]), norm_of(ctx, node)),)
    if name in operators.FOLDING:
        norm = norm_of(ctx, folded[node]) if node in folded else None
        return operators.FOLDING[name](ctx, node, norm)
    if name in operators.LAYERS:
        return operators.LAYERS[name](ctx, node, None)
    for table in operators.TABLES:
        if name in table:
            return table[name](ctx, node)
    if name in operators.FROM_RELAX:
        for source in node.all_input_nodes:
            ctx.value(source)
        return relax_importer.convert_map[name](node)
    raise NotSupportedError(
        f"layer {layer_name(node)}: operator {operator_names(node)} is not supported; "
        "compile the part of the model before it, or express it by supported operators"
    )
