"""torchao's PT2E flow in one call: observe, calibrate, convert, export."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from sparsecc.errors import ModelError, UserError, first_line, missing_package
from sparsecc.importer.checks import as_tensors
from sparsecc.importer.export import Model, to_exported
from sparsecc.importer.names import module_path
from sparsecc.pytorch.quantized.noise import LAYERS, Recorder, noise_of
from sparsecc.pytorch.quantized.report import Quantized, signal_to_noise
from sparsecc.text import printable

#: operators of layers -> the modules that have them
_CLASSES = {
    "aten.conv1d.default": "torch.nn.modules.conv.Conv1d",
    "aten.conv2d.default": "torch.nn.modules.conv.Conv2d",
    "aten.conv_transpose2d.input": "torch.nn.modules.conv.ConvTranspose2d",
    "aten.linear.default": "torch.nn.modules.linear.Linear",
}


def quantize(model: Model, calibration: Iterable[Any], *, keep_float: Sequence[str] = ()) -> Quantized:
    """Quantize a float model to 8 bits: activations by tensor, weights by output channel.

    It is done by torchao, which ``pip install '.[quantize]'`` brings. Weights are symmetric: what was pruned is zero
    afterwards, exactly. The model itself stays as it is.

    Parameters
    ----------
    model : torch.nn.Module, ExportedProgram or path of a .pt2 file
        Float32, pruned or not.
    calibration : iterable
        Inputs as the network will see them, each a tensor, or a tuple of them for several inputs: ranges of all
        activations are taken from these. Some dozens of images do. The first one also gives the shapes.
    keep_float : sequence of str
        Convolutions and linear layers to leave in float32: names, or shell patterns such as ``"head.*"``.

    Returns
    -------
    Quantized
        The program, and each layer's signal-to-noise ratio: which one hurts.

    Raises
    ------
    UserError
        Nothing to calibrate with, a pattern that names no layer, or torchao is not installed.
    ModelError, NotSupportedError
        The model can't be exported, or torchao can't quantize it.
    """
    try:
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    except ModuleNotFoundError as error:
        raise missing_package(error) from error

    batches = [as_tensors(batch) for batch in calibration]
    if not batches:
        raise UserError("calibration: found no inputs, expected some as the network will see them")
    program, example, _ = to_exported(model, batches[0])
    names = _keep_float(program, [keep_float] if isinstance(keep_float, str) else keep_float)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            prepared = prepare_pt2e(_without_masks(program.module()), _quantizer(names))
            for batch in batches:
                prepared(*batch)
            recorder = Recorder(prepared)
            exact = recorder.run(*example)
            converted = convert_pt2e(prepared)
            made = torch.export.export(converted, example)
        except Exception as error:
            raise ModelError(f"model: torchao can't quantize it: {first_line(error)}") from error
        found = converted(*example)
        layers = noise_of(converted, recorder, example)
        exact, found = (value if isinstance(value, torch.Tensor) else _first(value) for value in (exact, found))
    return Quantized(made, layers, signal_to_noise(exact, found))


def _quantizer(names: frozenset[str]) -> Any:
    """PyTorch's quantizer for processors with int8 instructions, which leaves layers of these names alone."""
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    class _Quantizer(x86.X86InductorQuantizer):  # type: ignore[misc]  # torchao's types are not followed
        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            annotated: fx.GraphModule = super().annotate(model)
            for node in annotated.graph.nodes:
                if _is_layer(node) and module_path(node) in names:
                    node.meta.pop("quantization_annotation", None)
            return annotated

    return _Quantizer().set_global(x86.get_default_x86_inductor_quantization_config())


def _without_masks(module: fx.GraphModule) -> fx.GraphModule:
    """Weights that are computed from others, as masks do, become constants: the quantizer looks for those."""
    for node in list(module.graph.nodes):
        if not _is_layer(node):
            continue
        _name_class(node)
        for place, source in enumerate(node.args):
            if isinstance(source, fx.Node) and source.op == "call_function" and _is_constant(source):
                name = f"constant_{node.name}_{place}"
                module.register_parameter(name, torch.nn.Parameter(_evaluated(module, source), requires_grad=False))
                with module.graph.inserting_before(node):
                    constant = module.graph.get_attr(name)
                constant.meta = {"val": source.meta["val"]}
                node.update_arg(place, constant)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def _name_class(node: fx.Node) -> None:
    """Let a layer be of PyTorch's own class, by which the quantizer finds it: parametrized ones are of another."""
    cls = _CLASSES.get(str(node.target))
    stack = dict(node.meta.get("nn_module_stack") or {"": ("", "")})
    key, (path, found) = list(stack.items())[-1]
    if cls is None or str(found) == cls:
        return
    inner = path if "Parametrized" in str(found) else f"{path}.{node.name}".removeprefix(".")
    node.meta["nn_module_stack"] = {**stack, key if inner == path else f"{key}_{node.name}": (inner, cls)}


def _is_constant(node: fx.Node) -> bool:
    """Whether it depends on weights alone."""
    return node.op == "get_attr" or (node.op == "call_function" and all(map(_is_constant, node.all_input_nodes)))


def _evaluated(module: fx.GraphModule, node: fx.Node) -> Any:
    if node.op == "get_attr":
        return operator.attrgetter(str(node.target))(module)
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: _evaluated(module, n))
    return node.target(*args, **kwargs)


def _keep_float(program: ExportedProgram, patterns: Sequence[str]) -> frozenset[str]:
    """Names of the layers that patterns name."""
    names = [module_path(node) for node in program.graph.nodes if _is_layer(node)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UserError(f"keep_float: {printable(pattern)!r} names no convolution or linear layer of the model")
    return frozenset(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def _is_layer(node: fx.Node) -> bool:
    return node.op == "call_function" and str(node.target) in LAYERS


def _first(value: Any) -> Any:
    """The first tensor of a result."""
    leaves: list[Any] = torch.utils._pytree.tree_leaves(value)
    return next(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
